//! `scripts/bench ingest`: from publishing at `QoS` 1 to Kafka, through Mosquitto as shipped and the bridge.
//!
//! The ceiling is a bare subscriber on the same broker that counts and acknowledges. The bridge reads JSON, writes Avro with
//! all headers and acknowledges after Kafka; so does Telegraf, where there is one, with JSON and no headers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a failing benchmark fails")]

mod kafka;
mod telegraf;
mod wire;

use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant, SystemTime};

use clap::Parser;
use events::{Timestamp, topics};
use kafka::{Readings, ce_time, now_micros};
use serde::Serialize;
use serde_json::Value;
use stream::OutRecord;
use stream::producer::GiveUp;
use testkit::bench::{Percentiles, Report, Spread, Target, Usage};
use testkit::{Kit, Mosquitto, Process};
use wire::Publisher;

#[derive(Clone, Debug, Parser, Serialize)]
struct Arguments {
    /// Fewer messages, one repetition: whether it works, not how fast it is.
    #[arg(long)]
    quick: bool,
    #[arg(long, default_value_t = 200_000)]
    messages: usize,
    #[arg(long, default_value_t = 4)]
    publishers: usize,
    #[arg(long, default_value_t = 5)]
    repetitions: usize,
    /// Repetitions before those that count: a broker that was just started compiles while it is measured.
    #[arg(long, default_value_t = 8)]
    warm_ups: usize,
    /// Seconds of each latency run, and as many before them that do not count.
    #[arg(long, default_value_t = 10)]
    seconds: usize,
    /// Latency runs of each rate; their median counts, so that one in which the machine was elsewhere does not.
    #[arg(long, default_value_t = 3)]
    latency_runs: usize,
    /// Seconds at 1,000 events a minute with the profile for small boards.
    #[arg(long, default_value_t = 60)]
    edge_seconds: usize,
    /// Telegraf's program, to measure beside.
    #[arg(long)]
    telegraf: Option<PathBuf>,
    #[arg(long, default_value = "target/bench/ingest.json")]
    output: PathBuf,
    /// Cargo passes it.
    #[arg(long, hide = true)]
    #[serde(skip)]
    bench: bool,
}

const TOPIC: &str = "iot/sensor/temperature";
/// The profile for small boards.
const EDGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../services/mqtt-bridge/edge.toml");

/// What became of all messages.
struct Ingested {
    /// Messages a second from publisher to Kafka.
    rate: f64,
    /// Within a device.
    reordered: usize,
    peak_mib: f64,
}

fn payload(device: &str) -> String {
    let micros = now_micros();
    format!(r#"{{"device_id": "{device}", "temperature": 21.5, "timestamp": {micros}}}"#)
}

/// Every publisher is a gateway with devices of its own; returns when the broker has acknowledged all.
fn publish(port: u16, arguments: &Arguments, devices: usize) {
    std::thread::scope(|scope| {
        for number in 0..arguments.publishers {
            scope.spawn(move || {
                let mut publisher = Publisher::connect(port, &format!("publisher-{number}"));
                for message in 0..arguments.messages / arguments.publishers {
                    publisher.publish(TOPIC, payload(&format!("sensor-{number}-{}", message % devices)).as_bytes());
                }
                publisher.finish();
            });
        }
    });
}

/// Messages a second a bare subscriber takes.
async fn ceiling(arguments: &Arguments) -> f64 {
    let broker = Mosquitto::start().await;
    let (sender, done) = channel();
    wire::subscribe(broker.port, TOPIC, arguments.messages, sender);
    let began = Instant::now();
    publish(broker.port, arguments, 250);
    done.recv().expect("the subscriber ends");
    arguments.messages as f64 / began.elapsed().as_secs_f64()
}

struct Line {
    kit: Kit,
    broker: Mosquitto,
    bridge: Process,
}

impl Line {
    async fn start() -> Self {
        Self::start_with(&[], &[]).await
    }

    async fn start_with(command_line: &[&str], own: &[(&str, String)]) -> Self {
        let (dlq, retry) = (topics::dlq("mqtt-bridge"), topics::retry("mqtt-bridge"));
        let kit = Kit::with_topics(&[topics::READINGS, topics::DEVICE_STATUS, &dlq, &retry]).await;
        let broker = Mosquitto::start().await;
        let environment = [
            ("FIELDWATCH__KAFKA__BROKERS", kit.kafka.brokers.clone()),
            ("FIELDWATCH__KAFKA__TOPIC_PREFIX", kit.prefix().to_owned()),
            ("FIELDWATCH__REGISTRY__URL", kit.registry_config.url.clone()),
            ("MQTT_BRIDGE__MQTT__URL", broker.url()),
        ];
        let environment = environment.iter().chain(own).map(|(name, value)| ((*name).to_owned(), value.clone())).collect::<Vec<_>>();
        let mut bridge = Process::spawn_with("mqtt-bridge", command_line, &environment);
        bridge.ready().await;
        Self { kit, broker, bridge }
    }

    fn peak_mib(&self) -> f64 {
        Usage::of(self.bridge.pid()).expect("the bridge runs").peak_rss_mib
    }
}

/// All messages through the bridge.
async fn bridge(arguments: &Arguments, devices: usize) -> Ingested {
    let line = Line::start().await;
    let readings = Readings::of(&line.kit);
    let began = Instant::now();
    publish(line.broker.port, arguments, devices);
    readings.until(arguments.messages);
    let rate = arguments.messages as f64 / began.elapsed().as_secs_f64();
    let peak_mib = line.peak_mib();
    readings.resume();
    let (reordered, _) = readings.read(arguments.messages, ce_time);
    Ingested { rate, reordered, peak_mib }
}

/// Peak memory of the bridge with the profile for small boards at 1,000 events a minute.
async fn edge(arguments: &Arguments) -> f64 {
    let spool = tempfile::tempdir().expect("a folder");
    let folder = [("MQTT_BRIDGE__SPOOL__FOLDER", spool.path().display().to_string())];
    let line = Line::start_with(&["--config", EDGE], &folder).await;
    let count = arguments.edge_seconds * 1_000 / 60;
    let mut publisher = Publisher::connect(line.broker.port, "edge");
    for message in 0..count {
        std::thread::sleep(Duration::from_millis(60));
        publisher.publish(TOPIC, payload(&format!("sensor-{}", message % 20)).as_bytes());
        publisher.flush();
    }
    publisher.finish();
    Readings::of(&line.kit).until(count);
    line.peak_mib()
}

/// Milliseconds from publishing to a consumer's hands.
async fn latency(arguments: &Arguments, rate: usize) -> Percentiles {
    let line = Line::start().await;
    let readings = Readings::of(&line.kit);
    readings.resume();
    let (count, port) = (2 * rate * arguments.seconds, line.broker.port);
    let publishing = std::thread::spawn(move || {
        let mut publisher = Publisher::connect(port, "steady");
        steadily(rate, count, |message| {
            publisher.publish(TOPIC, payload(&format!("sensor-{}", message % 100)).as_bytes());
            publisher.flush();
        });
        publisher.finish();
    });
    let (_, ages) = readings.read(count, ce_time);
    publishing.join().expect("all are published");
    counted(ages)
}

/// The same from a producer alone: what is Kafka's part of it.
async fn without_bridge(arguments: &Arguments, rate: usize) -> Percentiles {
    let kit = Kit::with_topics(&[topics::READINGS]).await;
    let readings = Readings::of(&kit);
    readings.resume();
    let producer = stream::Publisher::connect(&kit.kafka, "bare", GiveUp::Never).expect("a producer");
    let (count, topic) = (2 * rate * arguments.seconds, kit.kafka.prefixed(topics::READINGS));
    let runtime = tokio::runtime::Handle::current();
    let producing = std::thread::spawn(move || {
        steadily(rate, count, |message| {
            let device = format!("sensor-{}", message % 100);
            let now = Timestamp::from(SystemTime::now()).to_string();
            let record = OutRecord::new(&topic, Some(device.clone().into_bytes()), Some(payload(&device).into_bytes()));
            drop(runtime.block_on(producer.enqueue_when_room(record.header("ce_time", Some(now.as_bytes())))).expect("room"));
        });
        producer
    });
    let (_, ages) = readings.read(count, ce_time);
    producing.join().expect("all are produced");
    counted(ages)
}

/// The first half warms up: a rate the broker did not have before, it compiles for anew.
fn counted(mut ages: Vec<f64>) -> Percentiles {
    Percentiles::of(ages.split_off(ages.len() / 2)).expect("there are figures")
}

fn median(found: Vec<f64>) -> f64 {
    Spread::of(found).expect("there are figures").median
}

/// Calls `send` `count` times, `rate` times a second.
fn steadily(rate: usize, count: usize, mut send: impl FnMut(usize)) {
    let began = Instant::now();
    for message in 0..count {
        let due = Duration::from_secs_f64(message as f64 / rate as f64);
        if let Some(early) = due.checked_sub(began.elapsed()) {
            std::thread::sleep(early);
        }
        send(message);
    }
}

#[tokio::main]
async fn main() {
    let mut arguments = Arguments::parse();
    if arguments.quick {
        (arguments.messages, arguments.repetitions, arguments.warm_ups) = (20_000, 1, 0);
        (arguments.seconds, arguments.latency_runs, arguments.edge_seconds) = (3, 1, 10);
    }
    let mut report = Report::new("ingest", &arguments);
    let telegraf = arguments.telegraf.as_deref();
    if let Some(program) = telegraf {
        report.peer("telegraf", telegraf::version(program));
    }
    let (mut rows, mut ratios, mut beside, mut peaks, mut reordered) = (Vec::<Vec<Value>>::new(), vec![], vec![], vec![], 0);
    for _ in 0..arguments.warm_ups {
        bridge(&arguments, 250).await;
    }
    for _ in 0..arguments.repetitions {
        let bare = ceiling(&arguments).await;
        let mut row = |what: &str, Ingested { rate, reordered, peak_mib }: &Ingested| {
            let share = 100.0 * rate / bare;
            rows.push(vec![what.into(), (*rate).into(), bare.into(), share.into(), (*reordered).into(), (*peak_mib).into()]);
        };
        for (devices, of) in [(250, "1,000 devices"), (1, "4 hot devices")] {
            let ours = bridge(&arguments, devices).await;
            row(&format!("bridge, {of}"), &ours);
            if let Some(program) = telegraf {
                let theirs = telegraf::ingest(program, &arguments, devices).await;
                row(&format!("telegraf, {of}"), &theirs);
                if devices > 1 {
                    beside.push(ours.rate / theirs.rate);
                }
            }
            if devices > 1 {
                ratios.push(100.0 * ours.rate / bare);
            }
            peaks.push(ours.peak_mib);
            reordered += ours.reordered;
        }
    }
    let columns = ["", "messages/s", "bare subscriber", "% of it", "reordered", "peak RSS MiB"];
    report.table("Throughput, QoS 1", &columns, rows);
    let mut steady = Vec::<Vec<Value>>::new();
    let mut targets = Vec::new();
    for rate in [2_000, 5_000] {
        let (mut p50, mut p99) = (vec![], vec![]);
        for _ in 0..arguments.latency_runs {
            let (found, bare) = (latency(&arguments, rate).await, without_bridge(&arguments, rate).await);
            for (what, found) in [("bridge", &found), ("a producer alone", &bare)] {
                steady.push(vec![rate.into(), what.into(), found.p50.into(), found.p99.into(), found.p999.into(), found.max.into()]);
            }
            p50.push(found.p50);
            p99.push(found.p99);
        }
        targets.push(Target::at_most(format!("p50 at {rate}/s, ms (median)"), 3.0, median(p50)));
        targets.push(Target::at_most(format!("p99 at {rate}/s, ms (median)"), 7.0, median(p99)));
    }
    report.table("Publish to Kafka, ms", &["messages/s", "", "p50", "p99", "p99.9", "max"], steady);
    report.target(Target::at_least("throughput, % of the bare subscriber (median)", 85.0, median(ratios)));
    if let Some(times) = Spread::of(beside) {
        report.target(Target::at_least("throughput, times Telegraf's (median)", 1.0, times.median));
    }
    report.target(Target::at_most("reordered within a device", 0.0, reordered as f64));
    report.target(Target::at_most("peak RSS, MiB", 64.0, peaks.into_iter().fold(0.0, f64::max)));
    report.target(Target::at_most("peak RSS with edge.toml at 1,000 events a minute, MiB", 64.0, edge(&arguments).await));
    for target in targets {
        report.target(target);
    }
    report.finish(&arguments.output);
}
