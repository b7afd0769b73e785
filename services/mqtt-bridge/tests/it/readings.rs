use std::collections::HashMap;

use events::{Event, Reading, Timestamp, topics};
use mqtt_bridge::NAME;
use testkit::{capture, eventually};

use crate::bridge::{Field, Version, in_each_version};
use crate::device::Device;

in_each_version!(
    a_reading_of_any_quality_of_service_arrives_keyed_with_all_headers,
    a_payload_up_to_the_limit_is_read_and_one_beyond_closes_no_connection,
    two_thousand_messages_of_four_devices_keep_their_order_and_are_acknowledged_in_it,
);

const TEMPERATURE: &str = "iot/sensor/temperature";

async fn a_reading_of_any_quality_of_service_arrives_keyed_with_all_headers(version: Version) {
    let field = Field::new().await.speaking(version);
    let bridge = field.bridge(&[]).await;
    let device = Device::connect(&field.broker, "sensor-01").await;
    for qos in 0..=2 {
        let payload = format!(r#"{{"device_id": "sensor-01", "temperature": 31.{qos}, "timestamp": 1769847330.{qos}}}"#);
        device.publish(TEMPERATURE, qos, payload).await;
    }

    let mut readings = capture(&field.kit, topics::READINGS);
    for (record, qos) in readings.records(3).await.iter().zip(0..) {
        let reading: Reading = readings.event(record).await;
        assert_eq!(reading.value.to_bits(), format!("31.{qos}").parse::<f64>().unwrap().to_bits());
        assert_eq!(reading.measured_at, Timestamp::from_millis(1_769_847_330_000 + i64::from(qos) * 100));
        assert_eq!(record.key.as_deref(), Some(b"sensor-01".as_slice()));
        let id = reading.event_id().to_string();
        let time = reading.measured_at.to_string();
        for (name, value) in [
            ("ce_specversion", "1.0"),
            ("ce_id", &id),
            ("ce_source", "/fieldwatch/mqtt-bridge"),
            ("ce_type", "fieldwatch.reading.v1"),
            ("ce_time", &time),
            ("ce_subject", "sensor-01"),
            ("content-type", "application/avro"),
            ("correlation-id", &id),
        ] {
            assert_eq!(record.header(name), Some(value), "{name}");
        }
    }
    bridge.stop().await.unwrap();
    field.wire.assert_acknowledged_in_order();
    assert_eq!(field.wire.acks(), 2);
}

async fn a_payload_up_to_the_limit_is_read_and_one_beyond_closes_no_connection(version: Version) {
    let field = Field::new().await.speaking(version);
    let bridge = field.bridge(&[]).await;
    let device = Device::connect(&field.broker, "d-1").await;
    let padded = |sequence: usize, bytes: usize| format!(r#"{{"temperature": 20, "seq": {sequence}, "padding": "{}"}}"#, "x".repeat(bytes));
    // Around what clients and bridges have as limits of their own, up to the limits of the bridge (256 KiB) and the broker (1 MiB).
    for (sequence, bytes) in [11_000, 66_000, 262_000, 1_048_000, 10].into_iter().enumerate() {
        device.publish("devices/d-1/telemetry", 1, padded(sequence, bytes)).await;
    }
    let found = capture(&field.kit, topics::READINGS).events::<Reading>(4).await;
    assert_eq!(found.iter().filter_map(|reading| reading.sequence).collect::<Vec<_>>(), [0, 1, 2, 4]);
    let letter = capture(&field.kit, &topics::dlq(NAME)).records(1).await.remove(0);
    assert_eq!(letter.header("dlq-reason"), Some("oversized"));
    assert_eq!(field.wire.connections(), 1);
    bridge.stop().await.unwrap();
    field.wire.assert_acknowledged_in_order();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_metrics_of_a_message_are_in_kafka_before_it_is_acknowledged() {
    let field = Field::new().await;
    let bridge = field.bridge(&[]).await;
    let device = Device::connect(&field.broker, "d-1").await;
    let payload = r#"{"temperature": 21.5, "humidity": 40, "battery": 3.3, "seq": 7, "group": "hall-1"}"#;
    device.publish("devices/d-1/telemetry", 1, payload).await;
    eventually("the message is acknowledged", || async { (field.wire.acks() == 1).then_some(()) }).await;

    let mut readings = capture(&field.kit, topics::READINGS);
    let records = readings.rest().await;
    let mut found = Vec::new();
    for record in &records {
        let reading: Reading = readings.event(record).await;
        assert_eq!((reading.group_id.as_deref(), reading.sequence), (Some("hall-1"), Some(7)));
        found.push((reading.metric, reading.unit));
    }
    let expected = [("temperature", "Cel"), ("humidity", "%"), ("battery", "1")];
    assert_eq!(found, expected.map(|(metric, unit)| (metric.to_owned(), unit.to_owned())));
    bridge.stop().await.unwrap();
}

async fn two_thousand_messages_of_four_devices_keep_their_order_and_are_acknowledged_in_it(version: Version) {
    let field = Field::new().await.speaking(version);
    let bridge = field.bridge(&[]).await;
    let mut device = Device::connect(&field.broker, "gateway").await;
    for sequence in 0..2_000 {
        let topic = format!("devices/d-{}/telemetry", sequence % 4);
        device.publish(&topic, 1, format!(r#"{{"temperature": 20, "seq": {sequence}}}"#)).await;
    }
    device.acknowledged(2_000).await;

    let mut readings = capture(&field.kit, topics::READINGS);
    let mut last: HashMap<String, i64> = HashMap::new();
    for reading in readings.events::<Reading>(2_000).await {
        let sequence = reading.sequence.unwrap();
        let before = last.insert(reading.device_id.clone(), sequence).unwrap_or(-1);
        assert!(before < sequence, "{}: {sequence} after {before}", reading.device_id);
    }
    eventually("all are acknowledged", || async { (field.wire.acks() == 2_000).then_some(()) }).await;
    bridge.stop().await.unwrap();
    field.wire.assert_acknowledged_in_order();
    assert_eq!(readings.rest().await, [], "nothing came twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retained_reading_is_marked_and_a_fresh_one_is_not() {
    let field = Field::new().await;
    let mut device = Device::connect(&field.broker, "d-1").await;
    device.publish_retained("devices/d-1/telemetry", r#"{"temperature": 1, "seq": 1}"#).await;
    device.acknowledged(1).await;
    let bridge = field.bridge(&[]).await;
    device.publish_retained("devices/d-1/telemetry", r#"{"temperature": 2, "seq": 2}"#).await;

    let mut readings = capture(&field.kit, topics::READINGS);
    let found = readings.events::<Reading>(2).await;
    assert_eq!((found[0].sequence, found[0].is_fresh()), (Some(1), false));
    assert_eq!((found[1].sequence, found[1].is_fresh()), (Some(2), true));

    // On another connection of the same session it does not come again.
    field.wire.cut();
    eventually("the bridge is back", || async { (field.wire.connections() == 2).then_some(()) }).await;
    bridge.ready().await;
    device.publish("devices/d-1/telemetry", 1, r#"{"temperature": 3, "seq": 3}"#).await;
    assert_eq!(readings.events::<Reading>(1).await[0].sequence, Some(3));
    bridge.stop().await.unwrap();
}
