use events::{Reading, Timestamp, topics};
use mqtt_bridge::NAME;
use testkit::{capture, eventually};

use crate::bridge::Field;
use crate::device::Device;

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_a_dead_letter_then_acknowledged_and_the_bridge_goes_on() {
    let field = Field::new().await;
    let bridge = field.bridge(&[]).await;
    let device = Device::connect(&field.broker, "gateway").await;
    let large = format!(r#"{{"temperature": 1, "padding": "{}"}}"#, "x".repeat(1_000_000)).into_bytes();
    let ahead = r#"{"temperature": 1, "timestamp": "2199-01-01T00:00:00Z"}"#.as_bytes().to_vec();
    let corpus: Vec<(&str, Vec<u8>, &str, &str)> = vec![
        ("iot/sensor/temperature", b"{\"device_id\"".to_vec(), "not_json", "iot/sensor/temperature"),
        ("iot/sensor/temperature", b"\xff\xfe".to_vec(), "not_utf8", "iot/sensor/temperature"),
        ("iot/sensor/temperature", br#"{"device_id": "s", "temperature": NaN}"#.to_vec(), "not_finite", "iot/sensor/temperature"),
        ("iot/sensor/temperature", br#"{"device_id": "s"}"#.to_vec(), "missing_field", "s"),
        ("devices/a/telemetry", br#"{"temperature": "hot"}"#.to_vec(), "wrong_type", "a"),
        ("devices/b/telemetry", br#"{"temperature": 5000}"#.to_vec(), "out_of_range", "b"),
        ("devices/c/telemetry", ahead, "too_far_ahead", "c"),
        ("devices/d/telemetry", large, "oversized", "d"),
        ("devices/e/telemetry", Vec::new(), "empty", "e"),
        ("devices/f/status", b"away".to_vec(), "unknown_state", "f"),
    ];
    for (topic, payload, ..) in &corpus {
        device.publish_with(topic, payload.clone(), &[("batch", "7")]).await;
    }
    device.publish("devices/good/telemetry", 1, r#"{"temperature": 20}"#).await;

    let mut letters = capture(&field.kit, &topics::dlq(NAME));
    let mut found = letters.records(corpus.len()).await;
    for (topic, payload, reason, key) in corpus {
        let at = found.iter().position(|record| record.header("dlq-reason") == Some(reason)).expect(reason);
        let letter = found.remove(at);
        assert_eq!(letter.key.as_deref(), Some(key.as_bytes()), "{reason}");
        assert!(letter.value.as_deref() == Some(payload.as_slice()), "{reason}: the payload is not what it was");
        for (name, value) in [
            ("mqtt-topic", topic),
            ("mqtt-qos", "1"),
            ("mqtt-retain", "false"),
            ("mqtt-user-batch", "7"),
            ("dlq-service", NAME),
            ("dlq-class", "poison"),
            ("dlq-attempts", "1"),
        ] {
            assert_eq!(letter.header(name), Some(value), "{reason}: {name}");
        }
        for name in ["mqtt-received-at", "dlq-failed-at"] {
            assert!(letter.header(name).and_then(Timestamp::from_rfc3339).is_some(), "{reason}: {name}");
        }
        assert!(letter.header("dlq-detail").is_some_and(|detail| !detail.is_empty()), "{reason}");
    }
    let mut readings = capture(&field.kit, topics::READINGS);
    assert_eq!(readings.events::<Reading>(1).await[0].device_id, "good");
    eventually("all are acknowledged", || async { (field.wire.acks() == 11).then_some(()) }).await;
    field.wire.assert_acknowledged_in_order();
    bridge.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_no_route_wants_is_a_dead_letter() {
    let field = Field::new().await;
    // A route that was taken out of the configuration leaves its subscription in the session.
    Device::leave_subscription(&field.broker, NAME, "old/#").await;
    let bridge = field.bridge(&[]).await;
    let device = Device::connect(&field.broker, "d-1").await;
    device.publish("old/topic", 1, "{}").await;

    let letter = capture(&field.kit, &topics::dlq(NAME)).records(1).await.remove(0);
    assert_eq!((letter.header("dlq-reason"), letter.key.as_deref()), (Some("no_route"), Some(b"old/topic".as_slice())));
    bridge.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_noisy_device_is_limited_and_stops_nobody_else() {
    let field = Field::new().await;
    let bridge = field.bridge(&[]).await;
    let device = Device::connect(&field.broker, "gateway").await;
    for n in 0..3_000 {
        device.publish("devices/noisy/telemetry", 1, "rubbish").await;
        if n % 100 == 0 {
            device.publish("devices/quiet/telemetry", 1, format!(r#"{{"temperature": 20, "seq": {n}}}"#)).await;
        }
    }
    eventually("all are acknowledged", || async { (field.wire.acks() == 3_030).then_some(()) }).await;

    let readings = capture(&field.kit, topics::READINGS).rest().await;
    assert_eq!(readings.len(), 30);
    let letters = capture(&field.kit, &topics::dlq(NAME)).rest().await;
    let received = |index: usize| letters[index].header("mqtt-received-at").and_then(Timestamp::from_rfc3339).unwrap();
    let seconds = received(letters.len() - 1).since(received(0)).as_secs() as usize + 2;
    assert!((11..=seconds * 11).contains(&letters.len()), "{} dead letters within {seconds} s", letters.len());
    bridge.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_new_devices_is_put_off_and_known_ones_go_on() {
    let field = Field::new().await;
    let limits = [("MQTT_BRIDGE__LIMITS__NEW_DEVICES_PER_MINUTE", "3"), ("MQTT_BRIDGE__LIMITS__LEARN_DEVICES_FOR", "0s")];
    let bridge = field.bridge(&limits).await;
    let device = Device::connect(&field.broker, "gateway").await;
    for number in 0..20 {
        device.publish(&format!("devices/d-{number}/telemetry"), 1, r#"{"temperature": 20}"#).await;
        device.publish("devices/d-0/telemetry", 1, r#"{"temperature": 20}"#).await;
    }
    eventually("all are acknowledged", || async { (field.wire.acks() == 40).then_some(()) }).await;
    let mut readings = capture(&field.kit, topics::READINGS);
    let found = readings.rest().await;
    assert_eq!(found.len(), 20 + 3);
    assert_eq!(found.iter().filter(|record| record.key.as_deref() == Some(b"d-0")).count(), 21);
    let letters = capture(&field.kit, &topics::dlq(NAME)).rest().await;
    assert_eq!(letters.len(), 17);
    assert!(letters.iter().all(|letter| letter.header("dlq-reason") == Some("too_many_new_devices")));
    bridge.stop().await.unwrap();
}
