use events::{ReportedState, topics};
use mqtt_bridge::NAME;
use testkit::capture;

use crate::bridge::{Field, Version, in_each_version};
use crate::device::Device;

in_each_version!(what_a_device_reports_is_in_kafka_again_on_each_connection_and_what_makes_no_sense_is_a_dead_letter);

async fn what_a_device_reports_is_in_kafka_again_on_each_connection_and_what_makes_no_sense_is_a_dead_letter(version: Version) {
    let field = Field::new().await.speaking(version);
    let mut device = Device::connect(&field.broker, "lamp-1").await;
    device.publish_retained("devices/lamp-1/state", r#"{"on": true}"#).await;
    device.acknowledged(1).await;
    let bridge = field.bridge(&[]).await;
    let mut states = capture(&field.kit, topics::DEVICE_STATE);
    let record = states.records(1).await.remove(0);
    let state: ReportedState = states.event(&record).await;
    assert_eq!((state.device_id.as_str(), state.state.as_str()), ("lamp-1", r#"{"on":true}"#));
    assert_eq!(record.key.as_deref(), Some(b"lamp-1".as_slice()));
    assert_eq!(record.header("ce_type"), Some("fieldwatch.device-state.v1"));

    device.publish("devices/lamp-1/state", 1, "on").await;
    device.publish("devices/lamp-1/state", 1, format!(r#"{{"a": "{}"}}"#, "x".repeat(70_000))).await;
    device.publish("devices/lamp-1/state", 1, r#"{"on": false, "command_id": "7"}"#).await;
    let letters = capture(&field.kit, &topics::dlq(NAME)).records(3).await;
    let mut reasons: Vec<_> = letters.iter().filter_map(|letter| letter.header("dlq-reason")).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["bad_command_id", "not_json", "oversized"]);

    field.wire.cut();
    let again: ReportedState = states.events(1).await.remove(0);
    assert_eq!(again.state, r#"{"on":true}"#);
    bridge.stop().await.unwrap();
}
