use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use events::topics;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use service::sealing::SealingKeys;
use stream::source::{Acknowledge, Keeper, Keeping, Message, Reader, Source, SourceStatus, Trail, source};
use stream::spool::{Spool, SpoolLimits};
use stream::{Failure, KafkaConfig, OutRecord, Poison};
use testkit::{Kit, MockKafka, capture, eventually};
use tokio::sync::watch;

/// Message `number` becomes `number % 4` records, or one that Kafka will not have.
#[derive(Debug)]
struct Numbered {
    number: usize,
    best_effort: bool,
    too_large: bool,
}

impl Message for Numbered {
    fn size(&self) -> usize {
        100
    }

    fn is_best_effort(&self) -> bool {
        self.best_effort
    }

    fn to_bytes(&self) -> Result<Vec<u8>, Failure> {
        Ok(format!("{} {} {}", self.number, self.best_effort, self.too_large).into_bytes())
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(bytes).ok()?.split(' ');
        let number = parts.next()?.parse().ok()?;
        Some(Self { number, best_effort: parts.next()? == "true", too_large: parts.next()? == "true" })
    }
}

struct Numbers {
    topic: String,
    records: fn(usize) -> usize,
}

impl Reader for Numbers {
    type Message = Numbered;
    type Trail = NoTrail;

    fn read(&mut self, message: &Numbered) -> Result<(Vec<OutRecord>, NoTrail), Failure> {
        let number = message.number;
        let key = format!("sensor-{}", number % 7).into_bytes();
        let record = |part| {
            let value = if message.too_large { vec![0; 4 << 20] } else { format!("{number}/{part}").into_bytes() };
            OutRecord::new(&self.topic, Some(key.clone()), Some(value))
        };
        Ok(((0..(self.records)(number)).map(record).collect(), NoTrail))
    }

    fn refused(&mut self, message: &Numbered, poison: &Poison) -> (OutRecord, NoTrail) {
        let value = format!("{} {}", message.number, poison.reason).into_bytes();
        (OutRecord::new(&self.topic, None, Some(value)), NoTrail)
    }
}

struct NoTrail;

impl Trail for NoTrail {
    fn delivered(self) {}
}

/// Notes its number when acknowledged.
struct Ack(usize, Arc<Mutex<Vec<usize>>>);

impl Acknowledge for Ack {
    fn acknowledge(self) {
        self.1.lock().unwrap().push(self.0);
    }
}

/// A running source.
struct Line {
    source: Source<Numbers, Ack>,
    acknowledged: Arc<Mutex<Vec<usize>>>,
    status: watch::Receiver<SourceStatus>,
    keeper: tokio::task::JoinHandle<Result<(), Failure>>,
}

impl Line {
    fn start(kafka: &KafkaConfig, records: fn(usize) -> usize, limit: usize, keeping: Option<Keeping>) -> Self {
        let numbers = Numbers { topic: kafka.prefixed(topics::READINGS), records };
        let (source, keeper): (_, Keeper<Numbers, Ack>) = source(kafka, "line", limit, keeping);
        let status = keeper.status();
        #[expect(clippy::disallowed_methods, reason = "a test runs its own tasks")]
        let keeper = tokio::spawn(keeper.run(async { Ok(numbers) }));
        Self { source, acknowledged: Arc::default(), status, keeper }
    }

    async fn take(&self, number: usize) {
        self.accept(Numbered { number, best_effort: false, too_large: false }).await;
    }

    async fn accept(&self, message: Numbered) {
        let ack = Ack(message.number, Arc::clone(&self.acknowledged));
        self.source.accept(message, ack).await.unwrap();
    }

    fn acknowledged(&self) -> Vec<usize> {
        self.acknowledged.lock().unwrap().clone()
    }

    async fn until_acknowledged(&self, count: usize) {
        let what = format!("{count} are acknowledged");
        eventually(&what, || async { (self.acknowledged().len() == count).then_some(()) }).await;
        assert_eq!(self.acknowledged(), (0..count).collect::<Vec<_>>());
    }

    async fn until_status(&mut self, what: &str, is: impl Fn(&SourceStatus) -> bool) {
        let reached = tokio::time::timeout(Duration::from_secs(30), self.status.wait_for(|status| is(status))).await;
        reached.expect(what).unwrap();
    }

    async fn stop(self) {
        drop(self.source);
        self.keeper.await.unwrap().unwrap();
    }
}

fn keeping(folder: &Path, bytes: u64) -> Keeping {
    let spool = Spool::open(folder, SpoolLimits { bytes, age: Duration::from_hours(1) }, SealingKeys::default()).unwrap();
    Keeping { spool, away_after: Duration::from_millis(300) }
}

/// Port 1: a free one may be another test's cluster a moment later.
fn away(kit: &Kit) -> KafkaConfig {
    KafkaConfig { brokers: "127.0.0.1:1".into(), ..kit.kafka.clone() }
}

/// The numbers by key, in order, each once where it came again.
fn by_key(values: impl Iterator<Item = Vec<u8>>) -> Vec<Vec<usize>> {
    let (mut keys, mut seen) = (vec![Vec::new(); 7], BTreeSet::new());
    for value in values {
        let number: usize = std::str::from_utf8(&value).unwrap().split(['/', ' ']).next().unwrap().parse().unwrap();
        if seen.insert(number) {
            keys[number % 7].push(number);
        }
    }
    keys
}

fn every(count: usize) -> Vec<Vec<usize>> {
    (0..7).map(|key| (0..count).filter(|number| number % 7 == key).collect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_acknowledged_in_the_order_they_came_after_all_their_records_are_in_kafka() {
    let kit = Kit::with_topics(&[topics::READINGS]).await;
    let line = Line::start(&kit.kafka, |number| number % 4, 1 << 20, None);
    for number in 0..500 {
        line.take(number).await;
    }
    line.until_acknowledged(500).await;
    line.stop().await;
    assert_eq!(capture(&kit, topics::READINGS).rest().await.len(), (0..500).map(|message| message % 4).sum::<usize>());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_acknowledged_while_kafka_is_away_and_what_is_taken_stays_bounded() {
    const KEYS: usize = 7;
    let mock = MockKafka::start(topics::READINGS);
    let line = Line::start(&mock.config(), |_| 1, 1_000, None);
    for number in 0..KEYS {
        line.take(number).await;
    }
    line.until_acknowledged(KEYS).await;
    mock.down();
    for number in KEYS..KEYS + 10 {
        line.take(number).await;
    }
    assert!(tokio::time::timeout(Duration::from_millis(300), line.take(KEYS + 10)).await.is_err(), "the bound of 1,000 bytes is reached");
    assert_eq!(line.source.bytes_in_flight(), 1_000);
    assert_eq!(line.acknowledged().len(), KEYS);
    line.keeper.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_kafka_that_was_never_there_no_more_is_taken_than_the_first() {
    let kit = Kit::with_topics(&[topics::READINGS]).await;
    let line = Line::start(&away(&kit), |_| 1, 1_000, None);
    line.take(0).await;
    assert!(tokio::time::timeout(Duration::from_millis(300), line.take(1)).await.is_err(), "the first record is under way");
    assert_eq!(line.source.bytes_in_flight(), 100);
    assert!(line.acknowledged().is_empty());
    line.keeper.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kafka_refuses_for_its_size_is_a_letter_in_its_place() {
    let kit = Kit::with_topics(&[topics::READINGS]).await;
    let line = Line::start(&kit.kafka, |_| 1, 1 << 20, None);
    line.take(0).await;
    line.accept(Numbered { number: 1, best_effort: false, too_large: true }).await;
    line.take(2).await;
    line.until_acknowledged(3).await;
    let values = capture(&kit, topics::READINGS).rest().await.into_iter().map(|record| String::from_utf8(record.value.unwrap()).unwrap());
    let mut values: Vec<String> = values.collect();
    values.sort();
    assert_eq!(values, ["0/0", "1 not_accepted_by_kafka", "2/0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_kafka_away_messages_go_to_disk_and_all_reach_it_in_order_once_it_is_back() {
    const COUNT: usize = 2_000;
    let kit = Kit::with_topics(&[topics::READINGS]).await;
    let folder = tempfile::tempdir().unwrap();
    let mut line = Line::start(&away(&kit), |_| 1, 20_000, Some(keeping(folder.path(), 1 << 20)));
    line.until_status("nothing is on disk yet", |status| !status.spooling).await;
    let began = Instant::now();
    for number in 0..COUNT {
        line.take(number).await;
    }
    line.until_acknowledged(COUNT).await;
    assert!(began.elapsed() >= Duration::from_millis(300), "Kafka has its time before it counts as away");
    line.until_status("the spool is told", |status| status.spooling && status.messages as usize == COUNT).await;
    line.stop().await;

    // Another process, with Kafka back: new messages go behind those on disk.
    let mut line = Line::start(&kit.kafka, |_| 1, 20_000, Some(keeping(folder.path(), 1 << 20)));
    line.acknowledged.lock().unwrap().extend(0..COUNT);
    for number in COUNT..2 * COUNT {
        line.take(number).await;
    }
    line.until_acknowledged(2 * COUNT).await;
    line.until_status("the disk is empty", |status| !status.spooling && status.messages == 0).await;
    line.take(2 * COUNT).await;
    line.until_acknowledged(2 * COUNT + 1).await;
    assert_eq!(line.status.borrow().messages, 0, "what comes now goes to Kafka directly");
    line.stop().await;
    let records = capture(&kit, topics::READINGS).rest().await;
    assert_eq!(by_key(records.into_iter().filter_map(|record| record.value)), every(2 * COUNT + 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_spool_stops_acknowledging_and_drops_only_what_nobody_waits_for() {
    let kit = Kit::with_topics(&[topics::READINGS]).await;
    let folder = tempfile::tempdir().unwrap();
    let mut line = Line::start(&away(&kit), |_| 1, 2_000, Some(keeping(folder.path(), 300)));
    for number in 0..20 {
        line.take(number).await;
    }
    line.until_status("the spool is full", |status| status.full).await;
    let acknowledged = line.acknowledged().len();
    assert!((1..20).contains(&acknowledged), "{acknowledged}");
    let (held, dropped) = (line.source.bytes_in_flight(), 7);
    for number in 100..100 + dropped {
        let one = line.accept(Numbered { number, best_effort: true, too_large: false });
        tokio::time::timeout(Duration::from_secs(5), one).await.expect("it is dropped and makes room");
    }
    line.until_status("what was dropped is counted", |status| status.dropped == dropped as u64).await;
    assert_eq!(line.acknowledged().len(), acknowledged);
    eventually("only what waits is held", || async { (line.source.bytes_in_flight() == held).then_some(()) }).await;
    line.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kafka_that_goes_and_comes_back_loses_nothing_and_reorders_nothing() {
    for seed in testkit::seeds() {
        let mut random = StdRng::seed_from_u64(seed);
        let mock = MockKafka::start(topics::READINGS);
        let folder = tempfile::tempdir().unwrap();
        let mut line = Line::start(&mock.config(), |_| 1, 20_000, Some(keeping(folder.path(), 1 << 20)));
        let mut number = 0;
        for away in 0..3 {
            line.until_status("messages go to Kafka directly", |status| !status.spooling).await;
            let goes_at = number + random.random_range(1..500);
            // Beyond what may be in flight: the rest is only taken when the first is on disk.
            while number < goes_at + 500 {
                if number == goes_at {
                    mock.down();
                }
                line.take(number).await;
                number += 1;
            }
            line.until_status("messages go to disk", |status| status.spooling && status.messages > 0).await;
            line.until_acknowledged(number).await;
            mock.up();
            // While the disk is read, and after.
            for _ in 0..random.random_range(1..2_000) {
                line.take(number).await;
                number += 1;
            }
            line.until_acknowledged(number).await;
            eprintln!("seed {seed}: back for the {}. time after {number} messages", away + 1);
        }
        line.until_status("the disk is empty", |status| !status.spooling && status.messages == 0).await;
        line.stop().await;
        let values = mock.values(topics::READINGS);
        eprintln!("seed {seed}: {} of {number} came twice", values.len().saturating_sub(number));
        assert_eq!(by_key(values.into_iter()), every(number));
    }
}
