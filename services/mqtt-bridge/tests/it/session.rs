use std::collections::{BTreeSet, HashMap};

use events::{Reading, topics};
use mqtt_bridge::app;
use testkit::{Capture, Mosquitto, Running, capture, eventually};

use crate::bridge::{Field, MQTT_3, Version, in_each_version};
use crate::device::Device;
use crate::wire::Packet;

in_each_version!(
    a_connection_cut_in_a_message_loses_nothing_and_acknowledges_nothing_of_the_one_before,
    a_pubrel_of_an_earlier_connection_is_answered_and_the_connection_stays,
    while_kafka_is_away_nothing_is_acknowledged_and_once_it_is_back_all_is,
);

pub(crate) fn payload(sequence: i64) -> String {
    format!(r#"{{"temperature": 20, "seq": {sequence}}}"#)
}

/// Reads until `count` different sequences were seen; returns each with its device, repeated where it came again.
pub(crate) async fn until_all_arrived(field: &Field, count: usize) -> Vec<(String, i64)> {
    until_all_are_in(&mut capture(&field.kit, topics::READINGS), count).await
}

pub(crate) async fn until_all_are_in(readings: &mut Capture, count: usize) -> Vec<(String, i64)> {
    let (mut found, mut different) = (Vec::new(), BTreeSet::new());
    while different.len() < count {
        let reading = readings.events::<Reading>(1).await.remove(0);
        let sequence = reading.sequence.unwrap();
        different.insert(sequence);
        found.push((reading.device_id, sequence));
    }
    found
}

/// What comes again comes in order too, so the first copies of all are in order.
pub(crate) fn assert_order_per_device(found: &[(String, i64)]) {
    let (mut seen, mut last) = (BTreeSet::new(), HashMap::new());
    for (device, sequence) in found.iter().filter(|(_, sequence)| seen.insert(*sequence)) {
        let before = last.insert(device, *sequence).unwrap_or(-1);
        assert!(before < *sequence, "{device}: {sequence} after {before}");
    }
}

async fn a_connection_cut_in_a_message_loses_nothing_and_acknowledges_nothing_of_the_one_before(version: Version) {
    const COUNT: usize = 4_000;
    let field = Field::new().await.speaking(version);
    let bridge = field.bridge(&[]).await;
    let mut device = Device::connect(&field.broker, "gateway").await;
    for sequence in 0..COUNT {
        // Messages of one quality of service keep their order; a device uses one.
        let qos = 1 + sequence % 2;
        let (cut, connections) = (sequence % 800 == 400, field.wire.connections());
        if cut {
            field.wire.cut_in_frame();
        }
        device.publish(&format!("devices/qos-{qos}/telemetry"), qos as u8, payload(sequence as i64)).await;
        if cut {
            eventually("the bridge comes back", || async { (field.wire.connections() > connections).then_some(()) }).await;
        }
    }
    device.acknowledged(COUNT).await;
    let found = until_all_arrived(&field, COUNT).await;
    assert_order_per_device(&found);
    assert_eq!(field.wire.connections(), 6);
    field.wire.assert_acknowledged_in_order();
    bridge.stop().await.unwrap();
}

async fn a_pubrel_of_an_earlier_connection_is_answered_and_the_connection_stays(version: Version) {
    let field = Field::new().await.speaking(version);
    let bridge = field.bridge(&[]).await;
    let device = Device::connect(&field.broker, "d-1").await;
    field.wire.cut_after_pubrec();
    device.publish("devices/d-1/telemetry", 2, payload(1)).await;
    eventually("the message is complete on the second connection", || async {
        field.wire.seen().iter().any(|seen| seen.connection == 2 && matches!(seen.packet, Packet::PubComp(_))).then_some(())
    })
    .await;
    device.publish("devices/d-1/telemetry", 2, payload(2)).await;
    let mut readings = capture(&field.kit, topics::READINGS);
    let found: Vec<_> = readings.events::<Reading>(2).await.iter().map(|reading| reading.sequence.unwrap()).collect();
    assert_eq!((found, field.wire.connections()), (vec![1, 2], 2));
    bridge.stop().await.unwrap();
}

async fn while_kafka_is_away_nothing_is_acknowledged_and_once_it_is_back_all_is(version: Version) {
    // Without MQTT 5 it is the broker that says how many messages are under way.
    let window = if version == MQTT_3 { "max_inflight_messages 8" } else { "" };
    let field = Field::with(Mosquitto::prepared(window, |_| {}).await).await.speaking(version);
    let away = field.config(&[("FIELDWATCH__KAFKA__BROKERS", "127.0.0.1:1"), ("MQTT_BRIDGE__MQTT__RECEIVE_MAXIMUM", "8")]);
    let bridge = Running::start(away, app::start).await;
    let device = Device::connect(&field.broker, "gateway").await;
    eventually("the bridge is subscribed", || async { bridge.health.not_ready().iter().all(|(part, _)| part != "mqtt").then_some(()) })
        .await;
    for sequence in 0..40 {
        device.publish("devices/d-1/telemetry", 1 + (sequence % 2) as u8, payload(sequence)).await;
    }
    eventually("the bridge says why it is not ready", || async {
        bridge.health.not_ready().iter().any(|(part, why)| part == "kafka" && why.contains("acknowledged nothing")).then_some(())
    })
    .await;
    assert_eq!((field.wire.publishes(), field.wire.acks()), (8, 0));
    // It must not wait for Kafka for ever when it has to stop.
    bridge.stop().await.unwrap();
    assert_eq!(field.wire.acks(), 0);

    let bridge = field.bridge(&[]).await;
    assert_eq!(until_all_arrived(&field, 40).await.len(), 40);
    assert_eq!(field.wire.duplicates(), 8, "what the first bridge had taken comes marked as sent again, and is taken again");
    eventually("all are acknowledged", || async { (field.wire.acks() == 40).then_some(()) }).await;
    bridge.stop().await.unwrap();
    field.wire.assert_acknowledged_in_order();
}
