//! Writers that commit at a rate, and a consumer that notes when what they wrote came.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use outbox::OutboxEvent;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use serde_json::Value;
use sqlx::PgPool;
use testkit::bench::Percentiles;
use uuid::Uuid;

/// Events of a transaction.
pub(crate) const BATCH: u32 = 100;
const AGGREGATES: u32 = 10_000;
/// An event as services write it, without its first eight bytes: which transaction, and which event of it.
const PAYLOAD: [u8; 192] = [b'x'; 192];

/// A load to be measured.
#[derive(Clone, Copy)]
pub(crate) struct Steady {
    pub(crate) rate: u32,
    pub(crate) seconds: u64,
    /// Another transaction sees, for as long, what the outbox was at the beginning.
    pub(crate) snapshot: bool,
}

pub(crate) struct Found {
    pub(crate) written: f64,
    pub(crate) relayed: f64,
    pub(crate) latency: Percentiles,
    pub(crate) cpu_percent: f64,
    pub(crate) dead_tuples: i64,
    pub(crate) left: i64,
}

impl Found {
    pub(crate) fn row(&self, load: String) -> Vec<Value> {
        let Self { written, relayed, latency, cpu_percent, dead_tuples, left } = self;
        let shares = [*written, *relayed, latency.p50, latency.p99, latency.max, *cpu_percent].map(Value::from);
        [vec![load.into()], shares.to_vec(), vec![(*dead_tuples).into(), (*left).into()]].concat()
    }
}

/// When each transaction was known to be committed.
pub(crate) type Commits = HashMap<u32, Instant>;

/// Writes `rate` events a second for `time`. Each writer waits for its commit: a few more than keep up on a busy machine.
pub(crate) async fn write(pool: &PgPool, topic: &str, rate: u32, time: Duration) -> Commits {
    let began = Instant::now();
    let count = (rate / 5_000).max(4);
    let writers: Vec<_> = (0..count)
        .map(|writer| {
            let (pool, topic) = (pool.clone(), topic.to_owned());
            tokio::spawn(async move {
                let every = Duration::from_secs_f64(f64::from(BATCH * count) / f64::from(rate));
                let mut due = began + every * writer / count;
                let (mut commits, mut number) = (Commits::new(), writer);
                while began.elapsed() < time {
                    tokio::time::sleep_until(due.into()).await;
                    due += every;
                    let events = events(&topic, number);
                    let mut open = pool.begin().await.unwrap();
                    outbox::enqueue(&mut open, &events).await.unwrap();
                    open.commit().await.unwrap();
                    commits.insert(number, Instant::now());
                    number += count;
                }
                commits
            })
        })
        .collect();
    let mut commits = Commits::new();
    for writer in writers {
        commits.extend(writer.await.unwrap());
    }
    commits
}

fn events(topic: &str, transaction: u32) -> Vec<OutboxEvent> {
    let event = |n: u32| OutboxEvent {
        event_id: Uuid::now_v7(),
        aggregate_type: "notification".into(),
        aggregate_id: format!("n-{}", (transaction * BATCH + n).wrapping_mul(7_919) % AGGREGATES),
        event_type: "fieldwatch.notification.v1".into(),
        topic: topic.into(),
        payload: [&transaction.to_be_bytes()[..], &n.to_be_bytes(), &PAYLOAD].concat(),
        headers: headers(),
    };
    (0..BATCH).map(event).collect()
}

/// What an event of the suite carries.
pub(crate) fn headers() -> std::collections::BTreeMap<String, String> {
    let id = "0192f0c4-7a2b-7c3d-8e4f-5a6b7c8d9e0f";
    let headers = [
        ("ce_specversion", "1.0"),
        ("ce_id", id),
        ("ce_source", "/fieldwatch/notifier"),
        ("ce_type", "fieldwatch.notification.v1"),
        ("ce_time", "2026-01-31T08:15:35.123456Z"),
        ("ce_subject", "sensor-0042"),
        ("content-type", "application/avro"),
        ("correlation-id", id),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"),
    ];
    headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// When each event came, as often as it came.
pub(crate) struct Arrivals {
    thread: JoinHandle<Vec<(u64, Instant)>>,
    stop: Arc<AtomicBool>,
    pub(crate) count: Arc<AtomicU64>,
}

impl Arrivals {
    pub(crate) fn of(topic: &str) -> Self {
        let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counted, topic) = (Arc::clone(&stop), Arc::clone(&count), topic.to_owned());
        let thread = std::thread::spawn(move || {
            let consumer: BaseConsumer = ClientConfig::new()
                .set("bootstrap.servers", testkit::environment("FIELDWATCH__KAFKA__BROKERS"))
                .set("group.id", &topic)
                .set("auto.offset.reset", "earliest")
                .set("enable.auto.commit", "false")
                .set("isolation.level", "read_committed")
                .set("fetch.queue.backoff.ms", "2")
                .create()
                .unwrap();
            consumer.subscribe(&[&topic]).unwrap();
            let mut arrivals = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                if let Some(Ok(message)) = consumer.poll(Duration::from_millis(20)) {
                    let event = u64::from_be_bytes(message.payload().unwrap()[..8].try_into().unwrap());
                    arrivals.push((event, Instant::now()));
                    counted.store(arrivals.len() as u64, Ordering::Relaxed);
                }
            }
            arrivals
        });
        Self { thread, stop, count }
    }

    pub(crate) fn all(self) -> Vec<(u64, Instant)> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Milliseconds from commit to consumer, of the events of `commits`.
pub(crate) fn latencies(commits: &Commits, arrivals: &[(u64, Instant)]) -> Vec<f64> {
    let one = |(event, arrived): &(u64, Instant)| {
        let committed = commits.get(&((event >> 32) as u32))?;
        Some(arrived.saturating_duration_since(*committed).as_secs_f64() * 1e3)
    };
    arrivals.iter().filter_map(one).collect()
}
