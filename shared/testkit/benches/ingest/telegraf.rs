//! Telegraf with a persistent session: like the bridge it acknowledges only what Kafka has. JSON in, JSON out.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use events::{Timestamp, topics};
use rdkafka::message::{BorrowedMessage, Message as _};
use serde_json::Value;
use testkit::bench::Usage;
use testkit::{Kit, Mosquitto};

use crate::kafka::Readings;
use crate::wire::Publisher;
use crate::{Arguments, Ingested, TOPIC, payload, publish};

/// Wide open, short waits: as it comes it has 1,000 messages under way and writes every 10 s.
fn configuration(kit: &Kit, broker: &Mosquitto) -> String {
    format!(
        r#"
[agent]
  metric_batch_size = 5000
  metric_buffer_limit = 500000
  flush_interval = "20ms"
  flush_jitter = "0s"
  quiet = true
  omit_hostname = true

[[inputs.mqtt_consumer]]
  servers = ["tcp://127.0.0.1:{port}"]
  topics = ["{TOPIC}"]
  qos = 1
  client_id = "telegraf"
  persistent_session = true
  max_undelivered_messages = 65535
  data_format = "json"
  tag_keys = ["device_id"]

[[outputs.kafka]]
  brokers = ["{brokers}"]
  topic = "{topic}"
  routing_tag = "device_id"
  required_acks = -1
  compression_codec = 3
  data_format = "json"
"#,
        port = broker.port,
        brokers = kit.kafka.brokers,
        topic = kit.kafka.prefixed(topics::READINGS),
    )
}

struct Telegraf(Child);

impl Drop for Telegraf {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The version it says it has.
pub(crate) fn version(program: &Path) -> String {
    let output = Command::new(program).arg("--version").output().expect("telegraf runs");
    String::from_utf8_lossy(&output.stdout).split_whitespace().nth(1).unwrap_or("unknown").to_owned()
}

/// The same messages as the bridge has, through Telegraf.
pub(crate) async fn ingest(program: &Path, arguments: &Arguments, devices: usize) -> Ingested {
    let (kit, broker) = (Kit::with_topics(&[topics::READINGS]).await, Mosquitto::start().await);
    let file = broker.folder().join("telegraf.conf");
    std::fs::write(&file, configuration(&kit, &broker)).expect("a configuration is written");
    let child = Command::new(program).arg("--config").arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let telegraf = Telegraf(child.expect("telegraf starts"));
    let readings = Readings::of(&kit);
    let probes = until_subscribed(broker.port, &readings);

    let began = Instant::now();
    publish(broker.port, arguments, devices);
    readings.until(probes + arguments.messages);
    let rate = arguments.messages as f64 / began.elapsed().as_secs_f64();
    let peak_mib = Usage::of(telegraf.0.id()).expect("telegraf runs").peak_rss_mib;
    readings.resume();
    let (reordered, _) = readings.read(probes + arguments.messages, measured_at);
    Ingested { rate, reordered, peak_mib }
}

/// It says nowhere that it has subscribed: messages are sent until one comes through. Returns how many came.
fn until_subscribed(port: u16, readings: &Readings) -> usize {
    let (mut publisher, deadline) = (Publisher::connect(port, "probe"), Instant::now() + Duration::from_secs(30));
    while readings.count() == 0 {
        assert!(Instant::now() < deadline, "telegraf passes something on within 30 s");
        publisher.publish(TOPIC, payload("probe").as_bytes());
        publisher.flush();
        std::thread::sleep(Duration::from_millis(200));
    }
    publisher.finish();
    // What was sent after it had subscribed is on its way.
    std::thread::sleep(Duration::from_secs(1));
    readings.count() as usize
}

fn measured_at(record: &BorrowedMessage<'_>) -> Timestamp {
    let value: Value = serde_json::from_slice(record.payload().expect("a value")).expect("JSON");
    Timestamp::from_micros(value["fields"]["timestamp"].as_f64().expect("a time") as i64)
}
