//! A topic full of readings: the same for a seed, written as the bridge writes them.

use std::time::{Duration, Instant, SystemTime};

use events::headers::EventHeaders;
use events::trace::TraceContext;
use events::{DEFAULT_TENANT, Labels, Reading, Timestamp, UNIT_CELSIUS, topics};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde::Serialize;
use stream::{Cause, EventWriter, KafkaConfig};

use crate::Kit;

/// Threads that generate, and rounds they generate before waiting for each other, so that devices stay together in time.
const THREADS: u32 = 2;
const ROUNDS: u64 = 10;
const WAIT: Duration = Duration::from_mins(1);

/// How many readings of which devices.
#[derive(Clone, Debug, Serialize)]
pub struct Load {
    pub devices: u32,
    /// In rounds: one reading of every device, a second apart.
    pub rounds: u64,
    pub seed: u64,
    /// An excursion begins at one reading in so many.
    pub excursion_every: u32,
}

/// What was written.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Preloaded {
    pub readings: u64,
    /// Keys, values and headers.
    pub bytes: u64,
    pub seconds: f64,
}

/// A room's temperature: near 20 °C, slow noise, now and then an excursion above 28 °C that decays.
#[derive(Clone, Debug, Default)]
pub struct Walk {
    noise: f64,
    excursion: f64,
}

impl Walk {
    /// The next value, with two decimals as sensors have it.
    pub fn step(&mut self, random: &mut SmallRng, excursion_every: u32) -> f64 {
        let shock: f64 = StandardNormal.sample(random);
        self.noise = 0.95 * self.noise + 0.3 * shock;
        self.excursion *= 0.9;
        if random.random_ratio(1, excursion_every) {
            self.excursion = random.random_range(10.0..22.0);
        }
        ((20.0 + self.noise + self.excursion) * 100.0).round() / 100.0
    }
}

/// One of the threads, with every `THREADS`-th device.
struct Share {
    producer: BaseProducer,
    random: SmallRng,
    devices: Vec<(String, Walk)>,
    bytes: u64,
}

/// Fills telemetry.readings.v1 of `kit`; returns once Kafka has acknowledged all.
pub async fn preload(kit: &Kit, load: &Load) -> Preloaded {
    let writer = EventWriter::new("mqtt-bridge", &kit.kafka).with::<Reading>(&kit.registry).await.expect("schema is registered");
    let topic = kit.kafka.prefixed(topics::READINGS);
    let (kafka, wanted, load) = (kit.kafka.clone(), load.clone(), load.clone());
    // Blocks on threads of its own: away from the runtime's.
    let filled = tokio::task::spawn_blocking(move || {
        let before = records(&kafka, &topic);
        let filled = fill(&kafka, &writer, &topic, &load);
        assert_eq!(records(&kafka, &topic) - before, filled.readings, "every reading is in the topic");
        filled
    });
    let filled = filled.await.expect("the topic is filled");
    assert_eq!(filled.readings, u64::from(wanted.devices) * wanted.rounds);
    filled
}

fn fill(kafka: &KafkaConfig, writer: &EventWriter, topic: &str, load: &Load) -> Preloaded {
    let began = Instant::now();
    let start = Timestamp::from(SystemTime::now() - Duration::from_secs(load.rounds));
    let mut shares: Vec<Share> = (0..THREADS)
        .map(|share| Share {
            producer: producer(kafka, 20),
            random: SmallRng::seed_from_u64(load.seed ^ u64::from(share)),
            devices: (share..load.devices)
                .step_by(THREADS as usize)
                .map(|device| (format!("sensor-{device:07}"), Walk::default()))
                .collect(),
            bytes: 0,
        })
        .collect();
    let rounds: Vec<u64> = (0..load.rounds).collect();
    for rounds in rounds.chunks(ROUNDS as usize) {
        std::thread::scope(|scope| {
            for share in &mut shares {
                scope.spawn(|| {
                    for round in rounds {
                        share.round(writer, topic, start.saturating_add(Duration::from_secs(*round)), load);
                    }
                });
            }
        });
    }
    for share in &shares {
        share.producer.flush(WAIT).expect("Kafka acknowledges");
    }
    let bytes = shares.iter().map(|share| share.bytes).sum();
    Preloaded { readings: u64::from(load.devices) * load.rounds, bytes, seconds: began.elapsed().as_secs_f64() }
}

impl Share {
    fn round(&mut self, writer: &EventWriter, topic: &str, at: Timestamp, load: &Load) {
        for (device, walk) in &mut self.devices {
            let value = walk.step(&mut self.random, load.excursion_every);
            let reading = Reading {
                tenant: DEFAULT_TENANT.into(),
                device_id: device.clone(),
                group_id: Some("hall-1".into()),
                metric: "temperature".into(),
                value,
                unit: UNIT_CELSIUS.into(),
                measured_at: at,
                received_at: at.saturating_add(Duration::from_millis(20)),
                sequence: Some(at.as_millis() / 1_000),
                attributes: Labels::new(),
            };
            let trace = TraceContext { trace_id: self.random.random(), span_id: self.random.random(), sampled: false, state: None };
            let (headers, header_bytes) = header_set(&writer.headers(&reading, &Cause::default(), Some(trace)));
            let value = writer.value(&reading).expect("a reading can be written");
            self.bytes += (device.len() + value.len() + header_bytes) as u64;
            let mut record = BaseRecord::to(topic).key(device.as_bytes()).payload(&value).headers(headers);
            while let Err((error, refused)) = self.producer.send(record) {
                assert_eq!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::QueueFull), "{error}");
                self.producer.poll(Duration::from_millis(5));
                record = refused;
            }
        }
        self.producer.poll(Duration::ZERO);
    }
}

/// Headers as a record takes them, and their size in bytes.
pub fn header_set(headers: &EventHeaders) -> (OwnedHeaders, usize) {
    let (mut set, mut size) = (OwnedHeaders::new_with_capacity(10), 0);
    headers.for_each(|key, value| {
        size += key.len() + value.len();
        set = std::mem::take(&mut set).insert(Header { key, value: Some(value) });
    });
    (set, size)
}

/// An idempotent producer without futures, for rates of several hundred thousand records a second.
pub fn producer(kafka: &KafkaConfig, linger_ms: u32) -> BaseProducer {
    let mut config = kafka.client("bench").expect("the client's settings");
    config
        .set("enable.idempotence", "true")
        .set("partitioner", "murmur2_random")
        .set("compression.type", "lz4")
        .set("linger.ms", linger_ms.to_string())
        .set("batch.size", "524288")
        .set("queue.buffering.max.messages", "400000");
    config.create().expect("a producer")
}

fn records(kafka: &KafkaConfig, topic: &str) -> u64 {
    let consumer: BaseConsumer = kafka.consumer("bench").expect("settings").create().expect("a consumer");
    let metadata = consumer.fetch_metadata(Some(topic), WAIT).expect("metadata");
    let partitions = metadata.topics()[0].partitions().iter().map(|partition| {
        let deadline = Instant::now() + WAIT;
        // A topic made a moment ago may not have its leaders yet.
        let (start, end) = loop {
            match consumer.fetch_watermarks(topic, partition.id(), WAIT) {
                Ok(watermarks) => break watermarks,
                Err(error) => assert!(Instant::now() < deadline, "{topic}: {error}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        (end - start) as u64
    });
    partitions.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_is_the_same_for_a_seed_and_crosses_the_rules_now_and_then() {
        let walk = |seed| {
            let (mut walk, mut random) = (Walk::default(), SmallRng::seed_from_u64(seed));
            (0..20_000).map(|_| walk.step(&mut random, 1_000)).collect::<Vec<f64>>()
        };
        assert_eq!(walk(1), walk(1));
        let above = walk(1).iter().filter(|value| **value > 28.0).count();
        assert!((20..400).contains(&above), "{above} of 20,000 above 28 °C");
    }
}
