use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use events::{Reading, topics};
use service::{Health, Shutdown, Supervisor};
use stream::dlq::DlqLimit;
use stream::sink::{Batch, Refused, Sink, SinkConfig};
use stream::{Failure, Poison, Record, Registry, decode};
use testkit::{Kit, capture, eventually};

use crate::operator::reading;

const TOPICS: [&str; 3] = [topics::READINGS, "dlq.notifier.v1", "retry.notifier.v1"];

/// A store in memory that keeps positions as a database would.
#[derive(Default)]
struct Store {
    values: Vec<(String, f64)>,
    positions: BTreeMap<(String, i32), i64>,
    applied: usize,
    /// Answers "later" this many times.
    later: usize,
    /// Does not say where it stands.
    silent: bool,
}

struct StoreSink {
    store: Arc<Mutex<Store>>,
    registry: Registry,
}

impl Sink for StoreSink {
    type Item = Reading;
    const KEEPS_POSITIONS: bool = true;

    async fn decode(&mut self, record: &Record) -> Result<Reading, Failure> {
        decode::decode(&self.registry, record.value.as_deref().unwrap_or_default()).await
    }

    async fn position(&mut self, topic: &str, partition: i32) -> Result<Option<i64>, Failure> {
        let store = self.store.lock().unwrap();
        if store.silent {
            return Err(Failure::transient("the store is away"));
        }
        Ok(store.positions.get(&(topic.to_owned(), partition)).copied())
    }

    async fn apply(&mut self, batch: &Batch<Reading>) -> Result<(), Refused> {
        let mut store = self.store.lock().unwrap();
        if store.later > 0 {
            store.later -= 1;
            return Err(Failure::transient("the store is away").into());
        }
        if let Some(index) = batch.items.iter().position(|(_, reading)| reading.value < -1_000.0) {
            return Err(Refused::Item { index, poison: Poison::new("too_cold", "below absolute zero") });
        }
        for ((topic, partition), (expected, _)) in &batch.moves {
            if store.positions.get(&(topic.clone(), *partition)).is_some_and(|position| position != expected) {
                return Err(Refused::Fenced { topic: topic.clone(), partition: *partition });
            }
        }
        store.positions.extend(batch.moves.iter().map(|(partition, (_, next))| (partition.clone(), *next)));
        store.values.extend(batch.items.iter().map(|(_, reading)| (reading.device_id.clone(), reading.value)));
        store.applied += 1;
        Ok(())
    }
}

struct Running {
    shutdown: Shutdown,
    health: Health,
    task: std::thread::JoinHandle<()>,
}

fn start(kit: &Kit, store: &Arc<Mutex<Store>>) -> Running {
    let (kafka, registry, store, shutdown) = (kit.kafka.clone(), kit.registry.clone(), Arc::clone(store), Shutdown::new());
    let (stop, health) = (shutdown.clone(), Health::default());
    let reported = health.clone();
    let task = std::thread::spawn(move || {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let mut supervisor = Supervisor::new(stop);
            let config = SinkConfig { max_batch: 100, wait: Duration::from_millis(20), dlq_limit: DlqLimit::On };
            let sink = StoreSink { store, registry };
            stream::sink::start(sink, "notifier", &[topics::READINGS], &kafka, &config, &reported, &mut supervisor);
            supervisor.run().await.unwrap();
        });
    });
    Running { shutdown, health, task }
}

impl Running {
    fn stop(self) {
        self.shutdown.cancel();
        self.task.join().unwrap();
    }
}

async fn stored(store: &Arc<Mutex<Store>>, count: usize) {
    eventually(&format!("{count} values are stored"), || async { (store.lock().unwrap().values.len() >= count).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_takes_effect_once_across_a_store_that_is_away_and_restarts() {
    let kit = Kit::with_topics(&TOPICS).await;
    let store = Arc::new(Mutex::new(Store { later: 3, ..Store::default() }));
    for part in 0..3 {
        let running = start(&kit, &store);
        kit.publish(
            &(0..200).map(|at| reading(&format!("sensor-{}", at % 7), part * 200 + at, (part * 200 + at) as f64)).collect::<Vec<_>>(),
        )
        .await;
        stored(&store, (part as usize + 1) * 200).await;
        running.stop();
    }
    let store = store.lock().unwrap();
    let mut values: Vec<f64> = store.values.iter().map(|(_, value)| *value).collect();
    for device in 0..7 {
        let of_device: Vec<f64> =
            store.values.iter().filter(|(name, _)| *name == format!("sensor-{device}")).map(|(_, value)| *value).collect();
        assert!(of_device.is_sorted(), "order per device");
    }
    values.sort_by(f64::total_cmp);
    assert_eq!(values, (0..600).map(f64::from).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_while_the_store_is_away_is_no_failure() {
    let kit = Kit::with_topics(&TOPICS).await;
    let store = Arc::new(Mutex::new(Store { silent: true, ..Store::default() }));
    let running = start(&kit, &store);
    eventually("its position is asked for", || async {
        running.health.not_ready().iter().any(|(_, why)| why.contains("away")).then_some(())
    })
    .await;
    running.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_moved_by_another_owner_is_read_again_and_nothing_is_stored_twice() {
    let kit = Kit::with_topics(&TOPICS).await;
    let store = Arc::new(Mutex::new(Store::default()));
    let running = start(&kit, &store);
    kit.publish(&(0..3).map(|at| reading("sensor-1", at, at as f64)).collect::<Vec<_>>()).await;
    stored(&store, 3).await;
    // Another owner has already stored the next two.
    let moved = {
        let mut store = store.lock().unwrap();
        let (partition, next) =
            store.positions.iter().find(|(_, next)| **next == 3).map(|(partition, next)| (partition.clone(), *next)).unwrap();
        store.positions.insert(partition.clone(), next + 2);
        partition
    };
    kit.publish(&(3..6).map(|at| reading("sensor-1", at, at as f64)).collect::<Vec<_>>()).await;
    stored(&store, 4).await;
    running.stop();
    let store = store.lock().unwrap();
    assert_eq!(store.values.iter().map(|(_, value)| *value).collect::<Vec<_>>(), [0.0, 1.0, 2.0, 5.0]);
    assert_eq!(store.positions[&moved], 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_poison_record_does_not_fail_its_batch() {
    let kit = Kit::with_topics(&TOPICS).await;
    let store = Arc::new(Mutex::new(Store::default()));
    kit.publish(&[reading("sensor-1", 0, 1.0), reading("sensor-1", 1, -2_000.0), reading("sensor-1", 2, 3.0)]).await;
    let running = start(&kit, &store);
    stored(&store, 2).await;
    let letters = capture(&kit, "dlq.notifier.v1").records(1).await;
    assert_eq!(letters[0].header("dlq-reason"), Some("too_cold"));
    running.stop();
    assert_eq!(store.lock().unwrap().values.iter().map(|(_, value)| *value).collect::<Vec<_>>(), [1.0, 3.0]);
}
