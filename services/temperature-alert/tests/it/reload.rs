//! An edited file of rules is in force without a restart; a bad one changes nothing.

use std::path::Path;

use events::{AlertReason, AlertState, TemperatureAlert, Timestamp, topics};
use temperature_alert::{Config, DEFINITION, app};
use testkit::{Kit, Running, capture, eventually, temperature};

use crate::alerts::TOPICS;

fn write(path: &Path, rules: &[(&str, &str)]) {
    let lines = rules.iter().map(|(id, above)| format!("  - {{id: {id}, metric: temperature, above: {above}, severity: WARNING}}\n"));
    // As a mounted volume does it: another file in the place of the one before.
    let next = path.with_extension("next");
    std::fs::write(&next, format!("rules:\n{}", lines.collect::<String>())).unwrap();
    std::fs::rename(next, path).unwrap();
}

fn refused() -> bool {
    telemetry::metrics::gauge("fieldwatch_rules_refused", &[]).get() > 0.0
}

#[tokio::test(flavor = "multi_thread")]
async fn edited_rules_take_over_and_a_file_with_a_mistake_does_not() {
    let kit = Kit::with_topics(&TOPICS).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yaml");
    write(&file, &[("gone", "28"), ("kept", "28")]);
    let config: Config = kit.config(DEFINITION.name, DEFINITION.defaults, &[("TEMPERATURE_ALERT__RULES__FILE", file.to_str().unwrap())]);
    let service = Running::start(config, app::start).await;
    service.ready().await;
    let at = |second: i64| Timestamp::from_millis(1_770_000_000_000 + second * 1_000);
    let mut alerts = capture(&kit, topics::TEMPERATURE_ALERTS);

    kit.publish(&[temperature("sensor-01", at(0), 30.0)]).await;
    let firing: Vec<TemperatureAlert> = alerts.events(2).await;
    assert!(firing.iter().all(|alert| alert.state == AlertState::Firing));

    write(&file, &[("kept", "warm")]);
    eventually("the bad file is refused", || async { refused().then_some(()) }).await;
    assert!(service.health.not_ready().is_empty(), "the service goes on");
    kit.publish(&[temperature("sensor-02", at(1), 30.0)]).await;
    assert_eq!(alerts.records(2).await.len(), 2, "by the rules before");

    write(&file, &[("kept", "29"), ("new", "35")]);
    let removed: Vec<TemperatureAlert> = alerts.events(2).await;
    for (alert, device) in removed.iter().zip(["sensor-01", "sensor-02"]) {
        assert_eq!((alert.rule_id.as_str(), alert.state, alert.reason), ("gone", AlertState::Resolved, AlertReason::RuleRemoved));
        assert!(removed.iter().any(|alert| alert.device_id == device));
    }
    assert!(!refused());

    // The edited rule kept its alert: it resolves at the new threshold under the old id.
    kit.publish(&[temperature("sensor-01", at(2), 29.0)]).await;
    let resolved: TemperatureAlert = alerts.events(1).await.remove(0);
    let kept = firing.iter().find(|alert| alert.rule_id == "kept").unwrap();
    assert_eq!((resolved.state, &resolved.alert_id), (AlertState::Resolved, &kept.alert_id));
    service.stop().await.unwrap();
}
