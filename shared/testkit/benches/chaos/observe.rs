//! What is there after a run: topics as an outsider reads them, and the API's list to its end.

use std::time::{Duration, Instant};

use events::{Reading, TemperatureAlert, Timestamp, topics};
use serde_json::Value;
use testkit::ordeal::{Announced, Anomaly, Listed, Logged};
use testkit::{Api, Kit, capture, catalogue};

use crate::fleet::Fleet;

/// The rule of the plan; further kinds of alerts tell of the pipeline.
const RULE: &str = "high-temperature";
const LOOK: Duration = Duration::from_millis(200);

pub(crate) async fn logged(kit: &Kit) -> Vec<Logged> {
    let (mut captured, mut logged) = (capture(kit, topics::READINGS), Vec::new());
    for record in captured.rest().await {
        let reading: Reading = captured.event(&record).await;
        logged.push(Logged { device: reading.device_id, sequence: reading.sequence.unwrap_or_default() });
    }
    logged
}

pub(crate) async fn announced(kit: &Kit) -> Vec<Announced> {
    let (mut captured, mut announced) = (capture(kit, topics::TEMPERATURE_ALERTS), Vec::new());
    for record in captured.rest().await {
        let alert: TemperatureAlert = captured.event(&record).await;
        if alert.rule_id == RULE {
            let TemperatureAlert { alert_id, device_id: device, started_at, state, .. } = alert;
            announced.push(Announced { alert_id, device, started_at, state });
        }
    }
    announced
}

/// No message was unreadable, and no record could not be processed.
pub(crate) async fn dead_letters(kit: &Kit) -> Vec<Anomaly> {
    let mut found = Vec::new();
    for topic in catalogue().into_iter().filter(|topic| topic.starts_with("dlq.")) {
        let letters = capture(kit, &topic).rest().await;
        let reason = |record: &stream::Record| record.header("dlq-reason").unwrap_or_default().to_owned();
        found.extend(letters.iter().map(|letter| Anomaly::DeadLetter { topic: topic.clone(), reason: reason(letter) }));
    }
    found
}

/// Every notification; `None` while the API does not answer to the end.
pub(crate) async fn listed(api: &Api) -> Option<Vec<Listed>> {
    Some(api.list("/v1/notifications?limit=200").await?.iter().filter_map(one).collect())
}

fn one(notification: &Value) -> Option<Listed> {
    let text = |name: &str| notification[name].as_str();
    let is_planned = text("dedup_key")?.starts_with(&format!("alert/{RULE}/"));
    Some(Listed {
        id: text("notification_id")?.to_owned(),
        version: notification["version"].as_i64()?,
        alert_of: text("device_id").filter(|_| is_planned).map(str::to_owned),
        opened_at: Timestamp::from_rfc3339(text("opened_at")?)?,
        is_resolved: text("state")? == "RESOLVED",
    })
}

/// Asks until it is so, at most `limit`; whether it became so. What has not come by then is for the checker to name.
pub(crate) async fn becomes_so(limit: Duration, fleet: &mut Fleet, mut ask: impl AsyncFnMut(&Fleet) -> bool) -> bool {
    let began = Instant::now();
    while !ask(fleet).await {
        if began.elapsed() > limit {
            return false;
        }
        fleet.pass(LOOK).await;
    }
    true
}
