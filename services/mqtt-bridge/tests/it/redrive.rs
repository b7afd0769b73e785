use events::{Reading, topics};
use mqtt_bridge::NAME;
use stream::{OutRecord, Record};
use testkit::capture;

use crate::bridge::Field;
use crate::device::Device;

/// As an operator's tool sends it again: the same bytes and headers, with the redrives counted.
pub(crate) fn redriven(field: &Field, letter: &Record) -> OutRecord {
    let out = OutRecord::new(field.kit.kafka.prefixed(&topics::retry(NAME)), letter.key.clone(), letter.value.clone());
    let out = letter.headers.iter().fold(out, |out, (name, value)| out.header(name, value.as_deref()));
    out.header("dlq-redrives", Some(b"1"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redriven_message_is_read_by_todays_routes_with_its_original_time_of_receipt() {
    let field = Field::new().await;
    let device = Device::connect(&field.broker, "gateway").await;
    let strict = r#"[{ name = "temperature", unit = "Cel", min = 0.0, max = 30.0 }]"#;
    let bridge = field.bridge(&[("MQTT_BRIDGE__METRICS", strict)]).await;
    device.publish("devices/d-1/telemetry", 1, r#"{"temperature": 31.5}"#).await;
    device.publish("devices/d-2/telemetry", 1, "rubbish").await;
    let mut letters = capture(&field.kit, &topics::dlq(NAME));
    let found = letters.records(2).await;
    bridge.stop().await.unwrap();

    let bridge = field.bridge(&[]).await;
    field.kit.publish_records(found.iter().map(|letter| redriven(&field, letter)).collect()).await;
    let mut readings = capture(&field.kit, topics::READINGS);
    let reading = readings.events::<Reading>(1).await.remove(0);
    let letter = found.iter().find(|letter| letter.key.as_deref() == Some(b"d-1")).unwrap();
    assert_eq!(letter.header("mqtt-received-at"), Some(reading.received_at.to_string().as_str()));
    assert_eq!((reading.device_id.as_str(), reading.measured_at), ("d-1", reading.received_at));

    let again = letters.records(1).await.remove(0);
    assert_eq!((again.header("dlq-reason"), again.header("dlq-redrives")), (Some("not_json"), Some("1")));
    assert_eq!(again.header("mqtt-topic"), Some("devices/d-2/telemetry"));
    assert_eq!(again.value.as_deref(), Some(b"rubbish".as_slice()));
    bridge.stop().await.unwrap();
}
