//! What is acknowledged to a publisher reaches Kafka, whatever is killed. Counts are small here; with
//! `FIELDWATCH_TEST_FULL=1` (`scripts/test --full`) they are those promised.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use events::{Reading, topics};
use mqtt_bridge::NAME;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use stream::KafkaConfig;
use testkit::{MockKafka, Process, capture, capture_from, eventually, seeds};

use crate::bridge::{Field, MQTT_3, Version, in_each_version};
use crate::device::Device;
use crate::session::{assert_order_per_device, payload, until_all_are_in, until_all_arrived};
use crate::wire::Packet;

in_each_version!(
    a_bridge_that_is_killed_and_cut_off_by_seed_loses_nothing_that_was_acknowledged,
    a_broker_that_is_killed_takes_nothing_with_it_that_the_bridge_had_received,
    a_bridge_killed_between_pubrec_and_pubcomp_completes_the_message_after_its_restart,
);

pub(crate) fn full() -> bool {
    std::env::var("FIELDWATCH_TEST_FULL").is_ok_and(|full| full == "1")
}

/// A device uses one quality of service: only within it the broker keeps the order.
async fn publish(device: &Device, sequence: usize) {
    let qos = 1 + sequence % 2;
    device.publish(&format!("devices/d-{}/telemetry", sequence % 4), qos as u8, payload(sequence as i64)).await;
}

async fn a_bridge_that_is_killed_and_cut_off_by_seed_loses_nothing_that_was_acknowledged(version: Version) {
    let kills = if full() { 20 } else { 3 };
    // What differs between versions does not depend on the seed.
    let most = if version == MQTT_3 && !full() { 1 } else { usize::MAX };
    for seed in seeds().into_iter().take(most) {
        let mut random = StdRng::seed_from_u64(seed);
        let field = Field::new().await.speaking(version);
        let spool = tempfile::tempdir().unwrap();
        let mut bridge = Process::start(NAME, &field.environment_with_spool(spool.path())).await;
        let mut device = Device::connect(&field.broker, "gateway").await;
        let mut sequence = 0;
        for _ in 0..kills {
            let (kill_at, restart_after) = (random.random_range(100..600), random.random_range(1..300));
            for at in 0..kill_at + restart_after {
                if at == kill_at / 2 {
                    field.wire.cut_in_frame();
                }
                publish(&device, sequence).await;
                sequence += 1;
                if at == kill_at {
                    // In the middle of taking and acknowledging.
                    let acknowledged = field.wire.acks();
                    eventually("some are acknowledged", || async { (field.wire.acks() > acknowledged).then_some(()) }).await;
                    bridge.kill();
                }
            }
            bridge.restart();
            // Else it is killed again before it has read a message.
            let connections = field.wire.connections();
            eventually("the bridge is back", || async { (field.wire.connections() > connections).then_some(()) }).await;
        }
        device.acknowledged(sequence).await;
        let found = until_all_arrived(&field, sequence).await;
        eprintln!("seed {seed}: {kills} kills; {} of {sequence} readings came twice", found.len() - sequence);
        assert_order_per_device(&found);
        field.wire.assert_acknowledged_in_order();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_kept_down_for_three_seconds_under_2000_messages_a_second_loses_nothing() {
    const RATE: usize = 2_000;
    let field = Field::new().await;
    let mut bridge = Process::start(NAME, &field.environment()).await;
    let mut device = Device::connect(&field.broker, "gateway").await;
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    for sequence in 0..5 * RATE {
        if sequence % (RATE / 100) == 0 {
            tick.tick().await;
        }
        publish(&device, sequence).await;
        match sequence {
            RATE => bridge.kill(),
            at if at == 4 * RATE => bridge.restart(),
            _ => {}
        }
    }
    device.acknowledged(5 * RATE).await;
    let found = until_all_arrived(&field, 5 * RATE).await;
    assert_order_per_device(&found);
}

async fn a_broker_that_is_killed_takes_nothing_with_it_that_the_bridge_had_received(version: Version) {
    const EACH: usize = 1_000;
    let kills = if full() { 5 } else { 1 };
    let mut field = Field::new().await.speaking(version);
    let bridge = field.bridge(&[]).await;
    for kill in 0..=kills {
        let mut device = Device::connect(&field.broker, &format!("gateway-{kill}")).await;
        for sequence in kill * EACH..(kill + 1) * EACH {
            publish(&device, sequence).await;
        }
        if kill == kills {
            device.acknowledged(EACH).await;
            let last = (kills * EACH..(kills + 1) * EACH).map(|sequence| sequence as i64).collect::<BTreeSet<_>>();
            eventually("the last ones come through", || async { field.wire.received().is_superset(&last).then_some(()) }).await;
        } else {
            let taken = field.wire.acks();
            eventually("the bridge is busy", || async { (field.wire.acks() > taken).then_some(()) }).await;
            let connections = field.wire.connections();
            field.broker.kill_and_restart().await;
            // It has forgotten the session with all in it: until the bridge has subscribed, it would drop what comes.
            eventually("the bridge comes back", || async { (field.wire.connections() > connections).then_some(()) }).await;
            bridge.ready().await;
        }
    }
    let received = field.wire.received();
    let mut readings = capture(&field.kit, topics::READINGS);
    let mut arrived = BTreeSet::new();
    while !arrived.is_superset(&received) {
        arrived.insert(readings.events::<Reading>(1).await[0].sequence.unwrap());
    }
    eprintln!(
        "{kills} kills: {} of {} lost in the broker, which keeps them in memory",
        (kills + 1) * EACH - received.len(),
        (kills + 1) * EACH
    );
    bridge.stop().await.unwrap();
}

async fn a_bridge_killed_between_pubrec_and_pubcomp_completes_the_message_after_its_restart(version: Version) {
    let field = Field::new().await.speaking(version);
    let mut bridge = Process::start(NAME, &field.environment()).await;
    let mut device = Device::connect(&field.broker, "d-1").await;
    field.wire.cut_after_pubrec();
    device.publish("devices/d-1/telemetry", 2, payload(1)).await;
    eventually("the bridge has sent PUBREC", || async { (field.wire.acks() == 1).then_some(()) }).await;
    bridge.kill();
    let before = field.wire.seen();
    assert!(!before.iter().any(|seen| matches!(seen.packet, Packet::PubComp(_))), "{before:?}");
    bridge.restart();
    bridge.ready().await;
    eventually("the message is complete", || async {
        field.wire.seen().iter().any(|seen| matches!(seen.packet, Packet::PubComp(_))).then_some(())
    })
    .await;
    let connections = field.wire.connections();
    device.publish("devices/d-1/telemetry", 2, payload(2)).await;
    device.acknowledged(2).await;
    assert_eq!(until_all_arrived(&field, 2).await.len(), 2);
    assert_eq!(field.wire.connections(), connections, "the connection stays");
    assert_eq!(bridge.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kafka_that_is_away_under_load_gets_everything_in_order_once_it_is_back() {
    let away = Duration::from_secs(if full() { 60 } else { 3 });
    let (field, kafka) = (Field::new().await, MockKafka::start(topics::READINGS));
    let (brokers, spool) = (kafka.brokers(), tempfile::tempdir().unwrap());
    let mut environment = field.environment_with_spool(spool.path());
    environment.push(("FIELDWATCH__KAFKA__BROKERS".into(), brokers.clone()));
    environment.push(("FIELDWATCH__KAFKA__TOPIC_PREFIX".into(), String::new()));
    let bridge = Process::spawn(NAME, &environment);
    eventually("the bridge is subscribed", || async { field.wire.is_subscribed().then_some(()) }).await;
    let mut device = Device::connect(&field.broker, "gateway").await;
    let (mut sequence, began) = (0, Instant::now());
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    let (goes, returns) = (Duration::from_secs(1), Duration::from_secs(1) + away);
    let (mut gone, mut back) = (false, false);
    while began.elapsed() < returns + Duration::from_secs(2) {
        tick.tick().await;
        for _ in 0..3 {
            publish(&device, sequence).await;
            sequence += 1;
        }
        if !gone && began.elapsed() > goes {
            kafka.down();
            gone = true;
        }
        if !back && began.elapsed() > returns {
            assert!(bridge.admin("ready").await.contains("waiting for Kafka"), "messages go to disk");
            kafka.up();
            back = true;
        }
    }
    device.acknowledged(sequence).await;
    eventually("all are acknowledged", || async { (field.wire.acks() == sequence).then_some(()) }).await;
    let config = KafkaConfig { brokers, topic_prefix: String::new(), ..field.kit.kafka.clone() };
    let found = until_all_are_in(&mut capture_from(&config, &field.kit.registry, topics::READINGS), sequence).await;
    eprintln!("Kafka away for {away:?}: {} of {sequence} readings came twice", found.len() - sequence);
    assert_order_per_device(&found);
    field.wire.assert_acknowledged_in_order();
}

#[tokio::test(flavor = "multi_thread")]
async fn with_kafka_and_registry_away_messages_are_acknowledged_from_disk_and_survive_a_kill() {
    const COUNT: usize = 1_000;
    let field = Field::new().await;
    let spool = tempfile::tempdir().unwrap();
    let with_spool = field.environment_with_spool(spool.path());
    let mut away = with_spool.clone();
    away.push(("FIELDWATCH__KAFKA__BROKERS".into(), "127.0.0.1:1".into()));
    away.push(("FIELDWATCH__REGISTRY__URL".into(), "http://127.0.0.1:1".into()));
    let mut bridge = Process::spawn(NAME, &away);
    let mut device = Device::connect(&field.broker, "gateway").await;
    eventually("the bridge is subscribed", || async { field.wire.is_subscribed().then_some(()) }).await;
    for sequence in 0..COUNT {
        publish(&device, sequence).await;
    }
    device.acknowledged(COUNT).await;
    eventually("all are acknowledged from disk", || async { (field.wire.acks() == COUNT).then_some(()) }).await;
    eventually("it says so", || async { bridge.admin("ready").await.contains("1000 messages on disk").then_some(()) }).await;
    let metrics = bridge.admin("metrics").await;
    assert!(metrics.contains("fieldwatch_mqtt_spool_messages{} 1000.0"), "{metrics}");
    bridge.kill();

    let bridge = Process::start(NAME, &with_spool).await;
    let found = until_all_arrived(&field, COUNT).await;
    assert_order_per_device(&found);
    assert_eq!(found.len(), COUNT, "none came twice");
    assert_eq!(bridge.terminate().await, Some(0));
}
