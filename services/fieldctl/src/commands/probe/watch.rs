//! Which alerts are expected, and which have come.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use events::Timestamp;
use serde::Deserialize;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::adapters::notification_stream::Arrived;

/// The stream begins with a snapshot; from then on every change comes.
const UNTIL_LIVE: Duration = Duration::from_secs(10);

/// A device, and when the reading that fires was measured: an alert opens at that instant.
type Excursion = (String, Timestamp);

pub(crate) struct Watch {
    arrivals: UnboundedReceiver<Arrived>,
    expected: HashMap<Excursion, Instant>,
    latencies: Vec<Duration>,
    gaps: u64,
}

/// What decides of a notification; whatever else it says may change.
#[derive(Deserialize)]
struct Notification {
    kind: String,
    state: String,
    device_id: Option<String>,
    opened_at: String,
}

impl Watch {
    pub(crate) fn new(arrivals: UnboundedReceiver<Arrived>) -> Self {
        Self { arrivals, expected: HashMap::new(), latencies: Vec::new(), gaps: 0 }
    }

    /// Waits for the snapshot.
    pub(crate) async fn until_live(&mut self) -> anyhow::Result<()> {
        let first = tokio::time::timeout(UNTIL_LIVE, self.arrivals.recv()).await;
        first.context("the notification stream sends no snapshot")?.context("the notification stream ended")?;
        Ok(())
    }

    /// A reading that fires is published now.
    pub(crate) fn expect(&mut self, device_id: String, measured_at: Timestamp) {
        self.expected.insert((device_id, measured_at), Instant::now());
    }

    /// Waits until every alert has come, at most `timeout`.
    pub(crate) async fn until_complete(&mut self, timeout: Duration) -> anyhow::Result<()> {
        let deadline = tokio::time::Instant::now() + timeout;
        while !self.expected.is_empty() {
            match tokio::time::timeout_at(deadline, self.arrivals.recv()).await {
                Ok(arrived) => self.take(&arrived.context("the notification stream ended")?),
                Err(_) => break,
            }
        }
        Ok(())
    }

    fn take(&mut self, (at, frame): &Arrived) {
        match frame.event.as_str() {
            "gap" => self.gaps += 1,
            "notification" => {
                let Ok(notification) = serde_json::from_str::<Notification>(&frame.data) else { return };
                let Some(opened_at) = Timestamp::from_rfc3339(&notification.opened_at) else { return };
                if notification.kind != "alert" || notification.state != "OPEN" {
                    return;
                }
                let published = notification.device_id.and_then(|device| self.expected.remove(&(device, opened_at)));
                self.latencies.extend(published.map(|published| at.saturating_duration_since(published)));
            }
            _ => {}
        }
    }

    /// Stops listening: the time each alert took, the excursions that raised none, the gaps the stream told of.
    pub(crate) fn close(self) -> (Vec<Duration>, Vec<Excursion>, u64) {
        let mut missing: Vec<Excursion> = self.expected.into_keys().collect();
        missing.sort();
        (self.latencies, missing, self.gaps)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::sync::mpsc;

    use super::*;
    use crate::domain::server_sent::Frame;

    const FIRED: Timestamp = Timestamp::from_millis(1_769_847_330_250);

    fn notification(state: &str, kind: &str, opened_at: Timestamp) -> Arrived {
        let data = json!({"kind": kind, "state": state, "device_id": "probe-1-00", "opened_at": opened_at.to_string(), "version": 1});
        (Instant::now(), Frame { event: "notification".into(), data: data.to_string(), id: String::new() })
    }

    #[tokio::test]
    async fn only_the_opening_of_the_very_excursion_counts() {
        let (sender, arrivals) = mpsc::unbounded_channel();
        let mut watch = Watch::new(arrivals);
        watch.expect("probe-1-00".into(), FIRED);
        let others = [
            notification("RESOLVED", "alert", FIRED),
            notification("OPEN", "anomaly", FIRED),
            notification("OPEN", "alert", FIRED.saturating_add(Duration::from_millis(1))),
        ];
        for other in others {
            sender.send(other).unwrap();
        }
        watch.until_complete(Duration::from_millis(50)).await.unwrap();
        assert_eq!(watch.expected.len(), 1);

        sender.send(notification("OPEN", "alert", FIRED)).unwrap();
        sender.send(notification("OPEN", "alert", FIRED)).unwrap();
        watch.until_complete(Duration::from_secs(10)).await.unwrap();
        let (latencies, missing, gaps) = watch.close();
        assert_eq!((latencies.len(), missing.len(), gaps), (1, 0, 0));
    }
}
