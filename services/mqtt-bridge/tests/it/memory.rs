//! How much memory the bridge has, whatever Kafka does. Some seconds here; with `FIELDWATCH_TEST_FULL=1` ten minutes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use events::topics;
use mqtt_bridge::NAME;
use testkit::bench::{Usage, metric};
use testkit::{MockKafka, Process, eventually};
use tokio::task::JoinHandle;

use crate::bridge::Field;
use crate::device::Device;
use crate::faults::full;
use crate::session::{assert_order_per_device, payload, until_all_arrived};

/// What an allocator keeps for itself may come and go.
const TOLERANCE_MIB: f64 = 6.0;
const EDGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/edge.toml");
const IN_FLIGHT: f64 = (1 << 20) as f64;

/// Small enough that all of it is soon full.
fn small(mut environment: Vec<(String, String)>) -> Vec<(String, String)> {
    let limits = [
        ("MQTT_BRIDGE__LIMITS__PAYLOAD", "64 KiB"),
        ("MQTT_BRIDGE__MQTT__MAX_PACKET_SIZE", "128 KiB"),
        ("MQTT_BRIDGE__LIMITS__IN_FLIGHT_BYTES", "1 MiB"),
        ("MQTT_BRIDGE__SPOOL__SIZE", "512 KiB"),
    ];
    environment.extend(limits.map(|(name, value)| (name.to_owned(), value.to_owned())));
    environment
}

/// Publishes until told to stop, `rate` messages a second at each quality of service in turn.
struct Publishing {
    stop: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Publishing {
    async fn start(field: &Field, rate: u32) -> Self {
        let (device, stop) = (Device::connect(&field.broker, "gateway").await, Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_millis(10));
            for sequence in 0.. {
                if sequence % i64::from(rate / 100) == 0 {
                    tick.tick().await;
                }
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let qos = (sequence % 3) as u8;
                device.publish(&format!("devices/d-{qos}/telemetry"), qos, payload(sequence)).await;
            }
        });
        Self { stop, task }
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
    }
}

/// Looks at the bridge's memory for `seconds`.
async fn assert_memory_flat(what: &str, bridge: &Process, seconds: u64) {
    let memory = || Usage::of(bridge.pid()).expect("the bridge runs").rss_mib;
    let (first, began) = (memory(), Instant::now());
    let (mut least, mut most) = (first, first);
    while began.elapsed() < Duration::from_secs(seconds) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = memory();
        (least, most) = (least.min(now), most.max(now));
        assert!(now < first + TOLERANCE_MIB, "{what}: from {first:.1} MiB to {now:.1} MiB after {:?}", began.elapsed());
    }
    eprintln!("{what}: {least:.1} to {most:.1} MiB over {seconds} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_kafka_away_and_the_spool_full_memory_stays_flat() {
    let (field, spool) = (Field::new().await, tempfile::tempdir().unwrap());
    let mut away = small(field.environment_with_spool(spool.path()));
    away.push(("FIELDWATCH__KAFKA__BROKERS".into(), "127.0.0.1:1".into()));
    let bridge = Process::spawn(NAME, &away);
    eventually("the bridge is subscribed", || async { field.wire.is_subscribed().then_some(()) }).await;
    let publishing = Publishing::start(&field, if full() { 500 } else { 5_000 }).await;
    eventually("the spool is full", || async { bridge.admin("ready").await.contains("the spool is full").then_some(()) }).await;
    let in_flight = async || metric(bridge.admin_port(), "fieldwatch_mqtt_in_flight_bytes", &[]).await;
    eventually("no more is taken", || async { (in_flight().await > 0.9 * IN_FLIGHT).then_some(()) }).await;
    let acks = field.wire.acks();
    assert_memory_flat("Kafka away, spool full", &bridge, if full() { 600 } else { 3 }).await;
    assert_eq!(field.wire.acks(), acks, "nothing more is acknowledged");
    publishing.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_kafka_slows_acknowledgements_and_memory_stays_flat() {
    let (field, kafka) = (Field::new().await, MockKafka::start(topics::READINGS));
    let mut slowed = small(field.environment());
    slowed.push(("FIELDWATCH__KAFKA__BROKERS".into(), kafka.brokers()));
    slowed.push(("FIELDWATCH__KAFKA__TOPIC_PREFIX".into(), String::new()));
    let bridge = Process::spawn(NAME, &slowed);
    let publishing = Publishing::start(&field, 5_000).await;
    eventually("messages are acknowledged", || async { (field.wire.acks() > 0).then_some(()) }).await;
    kafka.slow(Duration::from_secs(2));
    let in_flight = async || metric(bridge.admin_port(), "fieldwatch_mqtt_in_flight_bytes", &[]).await;
    eventually("no more is taken", || async { (in_flight().await > 0.9 * IN_FLIGHT).then_some(()) }).await;
    let acks = field.wire.acks();
    assert_memory_flat("Kafka slow", &bridge, if full() { 60 } else { 3 }).await;
    eventually("it goes on, slowly", || async { (field.wire.acks() > acks).then_some(()) }).await;
    publishing.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_edge_profile_needs_at_most_64_mib_at_1000_events_a_minute_and_after_an_outage() {
    // What 20 minutes without Kafka leave on disk: it is put there at once, and then caught up with.
    const BACKLOG: usize = 20_000;
    let (field, spool) = (Field::new().await, tempfile::tempdir().unwrap());
    let environment = field.environment_with_spool(spool.path());
    let mut away = environment.clone();
    away.push(("FIELDWATCH__KAFKA__BROKERS".into(), "127.0.0.1:1".into()));
    let peak_mib = |bridge: &Process| Usage::of(bridge.pid()).expect("the bridge runs").peak_rss_mib;
    let (mut device, mut sequence) = (Device::connect(&field.broker, "gateway").await, 0);
    let send = async |device: &Device, sequence: usize| {
        device.publish(&format!("devices/d-{}/telemetry", sequence % 20), 1, payload(sequence as i64)).await;
    };

    let bridge = Process::spawn_with(NAME, &["--config", EDGE], &away);
    eventually("the bridge is subscribed", || async { field.wire.is_subscribed().then_some(()) }).await;
    while sequence < BACKLOG {
        send(&device, sequence).await;
        sequence += 1;
    }
    eventually("all are on disk", || async { (field.wire.acks() == BACKLOG).then_some(()) }).await;
    let away_mib = peak_mib(&bridge);
    drop(bridge);

    let bridge = Process::spawn_with(NAME, &["--config", EDGE], &environment);
    let mut tick = tokio::time::interval(Duration::from_millis(60));
    for _ in 0..if full() { 1_000 } else { 50 } {
        tick.tick().await;
        send(&device, sequence).await;
        sequence += 1;
    }
    device.acknowledged(sequence).await;
    assert_order_per_device(&until_all_arrived(&field, sequence).await);
    let back_mib = peak_mib(&bridge);
    eprintln!("edge profile: at most {away_mib:.1} MiB with Kafka away, {back_mib:.1} MiB with it back");
    assert!(away_mib.max(back_mib) <= 64.0);
}

/// Built otherwise it keeps a third more memory than is promised.
#[cfg(target_arch = "x86_64")]
#[test]
fn the_allocator_is_set_up_as_it_was_measured() {
    let mut bridge = std::process::Command::new(testkit::binary(NAME));
    let said = bridge.arg("--version").env("MALLOC_CONF", "confirm_conf:true").output().unwrap();
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.contains("narenas:1,dirty_decay_ms:500"), "{said}");
}
