//! What was taken from the broker and is not yet in Kafka, and whether Kafka takes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use service::{HealthCheck, Shutdown};
use stream::Publisher;
use telemetry::metrics::gauge;

const EVERY: Duration = Duration::from_secs(1);
/// Kafka is away when it acknowledged nothing for so many looks while there was something to acknowledge.
const STUCK_AFTER: u32 = 5;
const REACH_TIMEOUT: Duration = Duration::from_secs(2);

/// Counts messages and bytes in flight; shared.
#[derive(Debug, Default)]
pub struct InFlight {
    taken: AtomicU64,
    released: AtomicU64,
    bytes: AtomicU64,
}

/// One message in flight, until dropped.
#[derive(Debug)]
pub struct Counted {
    in_flight: Arc<InFlight>,
    bytes: u64,
}

impl InFlight {
    pub fn count(self: &Arc<Self>, bytes: usize) -> Counted {
        let bytes = bytes as u64;
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.taken.fetch_add(1, Ordering::Relaxed);
        Counted { in_flight: Arc::clone(self), bytes }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.in_flight.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.in_flight.released.fetch_add(1, Ordering::Relaxed);
    }
}

/// Shows what is in flight, and says whether Kafka takes it, until the service stops.
pub async fn watch(in_flight: Arc<InFlight>, publisher: Publisher, check: HealthCheck, shutdown: Shutdown) -> anyhow::Result<()> {
    let (messages, bytes) = (gauge("fieldwatch_mqtt_in_flight", &[]), gauge("fieldwatch_mqtt_in_flight_bytes", &[]));
    let mut look = tokio::time::interval(EVERY);
    let (mut reached, mut before, mut unmoved) = (false, 0, 0);
    loop {
        tokio::select! {
            _ = look.tick() => {}
            () = shutdown.cancelled() => return Ok(()),
        }
        let released = in_flight.released.load(Ordering::Relaxed);
        let waiting = in_flight.taken.load(Ordering::Relaxed).saturating_sub(released);
        messages.set(waiting as f64);
        bytes.set(in_flight.bytes.load(Ordering::Relaxed) as f64);

        unmoved = if waiting > 0 && released == before { unmoved + 1 } else { 0 };
        before = released;
        if unmoved >= STUCK_AFTER {
            reached = false;
            check.not_ready(format!("Kafka has acknowledged nothing for {unmoved} s"));
            continue;
        }
        if !reached {
            let publisher = publisher.clone();
            reached = tokio::task::spawn_blocking(move || publisher.reach(REACH_TIMEOUT).is_ok()).await?;
        }
        if reached { check.ready() } else { check.not_ready("Kafka is out of reach") }
    }
}
