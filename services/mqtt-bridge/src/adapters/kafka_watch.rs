//! Shows what is in flight and on disk, and whether Kafka takes it.

use std::sync::Arc;
use std::time::Duration;

use service::{HealthCheck, Shutdown};
use stream::producer::GiveUp;
use stream::source::SourceStatus;
use stream::{KafkaConfig, Publisher};
use telemetry::metrics::gauge;
use tokio::sync::watch;

use crate::NAME;
use crate::adapters::InFlight;

const EVERY: Duration = Duration::from_secs(1);
/// Kafka is away when it acknowledged nothing for so many looks while there was something to acknowledge.
const STUCK_AFTER: u32 = 5;
const REACH_TIMEOUT: Duration = Duration::from_secs(2);

pub struct KafkaWatch {
    pub in_flight: Arc<InFlight>,
    /// One a source.
    pub sources: Vec<watch::Receiver<SourceStatus>>,
    pub kafka: KafkaConfig,
    pub kafka_check: HealthCheck,
    /// Where there is a spool.
    pub spool_check: Option<HealthCheck>,
}

impl KafkaWatch {
    /// Looks every second until the service stops.
    pub async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let (messages, bytes) = (gauge("fieldwatch_mqtt_in_flight", &[]), gauge("fieldwatch_mqtt_in_flight_bytes", &[]));
        let mut look = tokio::time::interval(EVERY);
        let (mut reached, mut before, mut unmoved) = (false, 0, 0);
        loop {
            tokio::select! {
                _ = look.tick() => {}
                () = shutdown.cancelled() => return Ok(()),
            }
            self.look_at_spool();
            let (released, waiting) = (self.in_flight.released(), self.in_flight.messages());
            messages.set(waiting as f64);
            bytes.set(self.in_flight.bytes() as f64);

            unmoved = if waiting > 0 && released == before { unmoved + 1 } else { 0 };
            before = released;
            if unmoved >= STUCK_AFTER {
                reached = false;
                self.kafka_check.not_ready(format!("Kafka has acknowledged nothing for {unmoved} s"));
                continue;
            }
            if !reached {
                let kafka = self.kafka.clone();
                let reach = move || Publisher::connect(&kafka, NAME, GiveUp::Never)?.reach(REACH_TIMEOUT);
                reached = tokio::task::spawn_blocking(reach).await?.is_ok();
            }
            if reached { self.kafka_check.ready() } else { self.kafka_check.not_ready("Kafka is out of reach") }
        }
    }

    fn look_at_spool(&self) {
        let Some(check) = &self.spool_check else { return };
        let mut all = SourceStatus::default();
        for source in &self.sources {
            let status = source.borrow().clone();
            all.spooling |= status.spooling;
            all.full |= status.full;
            all.messages += status.messages;
            all.bytes += status.bytes;
            all.age = all.age.max(status.age);
            all.dropped += status.dropped;
        }
        gauge("fieldwatch_mqtt_spooling", &[]).set(f64::from(u8::from(all.spooling)));
        gauge("fieldwatch_mqtt_spool_full", &[]).set(f64::from(u8::from(all.full)));
        gauge("fieldwatch_mqtt_spool_messages", &[]).set(all.messages as f64);
        gauge("fieldwatch_mqtt_spool_bytes", &[]).set(all.bytes as f64);
        gauge("fieldwatch_mqtt_spool_age_seconds", &[]).set(all.age.as_secs_f64());
        gauge("fieldwatch_mqtt_spool_dropped", &[]).set(all.dropped as f64);
        let SourceStatus { messages, bytes, .. } = all;
        let waiting = format!("{messages} messages on disk ({bytes} bytes), the oldest for {} s", all.age.as_secs());
        match (all.spooling, all.full) {
            (_, true) => check.not_ready(format!("the spool is full, nothing is acknowledged: {waiting}")),
            (true, false) => check.not_ready(format!("waiting for Kafka: {waiting}")),
            (false, false) => check.ready(),
        }
    }
}
