//! Operator: keyed state over one input topic, exactly once.
//!
//! An operator is pure: no I/O, no clock, no randomness. A worker thread owns one consumer, one transactional producer
//! and the state of its partitions. Outputs, offsets and snapshots commit in one transaction. Memory that caused no
//! output is snapshotted in turn, and rebuilt by silent replay from the oldest offset a snapshot misses.

pub mod driver;
mod inspect;
mod keys;
mod notice;
mod outputs;
mod partition;
mod progress;
mod restore;
mod state;
mod transaction;
mod wave;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use events::{Event, Timestamp};
use serde::Deserialize;
use service::{Health, Supervisor};
use tokio::sync::watch;

pub use inspect::{LastSnapshot, last_snapshot};
pub use notice::NoNotice;
pub use outputs::Outputs;
pub use state::{State, StateFormat, StateUnreadable, decode_snapshot};

use crate::dlq::DlqLimit;
use crate::{EventWriter, Failure, KafkaConfig, Registry};

/// A keyed, deterministic stage.
pub trait Operator: Send + Sync + 'static {
    type Event: Event;
    /// What is heard beside the input, from a topic with the same keys and partitions; [`NoNotice`] where that is nothing.
    type Notice: Event;
    type State: State;

    /// Service, or `<service>-<stage>`: consumer group and name of its state, retry and dead-letter topics.
    const STAGE: &'static str;
    /// How many events [`prepare`](Self::prepare) is given at most; 1: there is no batch step.
    const BATCH: usize = 1;
    /// Whether a notice of a key that is not known is heard too. One that changes nothing leaves no key behind.
    const HEARS_OF_NEW_KEYS: bool = false;
    /// Whether time is the wall clock's, and not that of the events: [`Outputs::now`] is when the turn began, and timers run by
    /// it while the partition is at the end of its input. The notices there were when a partition came are heard first. Whatever such an operator takes is snapshotted in the same
    /// transaction, so that no replay meets it at another time.
    const WALL_CLOCK: bool = false;

    /// When the bridge took the event; the highest seen is the partition's time.
    fn received_at(&self, event: &Self::Event) -> Timestamp;

    /// The batch step: looks at events of different keys together, each with its key's state, before
    /// [`on_event`](Self::on_event) works on them one by one. What it finds it leaves in the states, and it leaves the state
    /// of an event alone that `on_event` will refuse.
    fn prepare(&self, _batch: &mut [(&Self::Event, Self::State)]) -> Result<(), Failure> {
        Ok(())
    }

    /// Works on one event of `key`.
    fn on_event(&self, key: &str, event: &Self::Event, state: &mut Self::State, outputs: &mut Outputs<'_>) -> Result<(), Failure>;

    /// When `state` next wants [`on_time`](Self::on_time), if at all. Asked after every event: keep it cheap.
    fn due(&self, _state: &Self::State) -> Option<Timestamp> {
        None
    }

    /// Works on what time or absence causes; `now` is the due time, which by the wall clock may be past.
    fn on_time(&self, _key: &str, _now: Timestamp, _state: &mut Self::State, _outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        Ok(())
    }

    /// Hears a notice of a key that is known (or of any: [`HEARS_OF_NEW_KEYS`](Self::HEARS_OF_NEW_KEYS)); tells whether that
    /// changed its state, which is then snapshotted at once. Notices have no order with events.
    fn on_notice(&self, _key: &str, _notice: &Self::Notice, _state: &mut Self::State, _outputs: &mut Outputs<'_>) -> Result<bool, Failure> {
        Ok(false)
    }

    /// Brings a key in line with this operator: called for each key when a partition goes live and when a new operator
    /// takes over from another. `now` is the partition's time.
    fn reconcile(&self, _key: &str, _now: Timestamp, _state: &mut Self::State, _outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        Ok(())
    }

    /// Names every tally `state` counts into, once per count: what [`Outputs::adjust`] made of it.
    fn tally(&self, _state: &Self::State, _each: &mut dyn FnMut(&str)) {}

    /// Hears now and then what each tally comes to over all partitions of a worker: for metrics.
    fn on_tallies(&self, _sum: &dyn Fn(&str) -> i64) {}

    /// Works on the silence of a whole partition, which says something of its source and nothing of its devices.
    fn on_source(&self, _change: SourceChange, _outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        Ok(())
    }
}

/// A partition's source fell silent, or speaks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceChange {
    /// The wall clock says so, and only after the partition was at its end for all of `source_silence`. `since` is the
    /// partition's time.
    Silent { partition: i32, since: Timestamp },
    /// A record came; `since` is the silence that ends, `at` the record's `received_at`.
    Speaks { partition: i32, since: Timestamp, at: Timestamp },
}

/// `[operator]` of a service's configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorConfig {
    /// Worker threads; each owns a share of the partitions.
    pub workers: usize,
    /// Records taken in one turn at most, and so the size of a transaction.
    pub max_poll_records: usize,
    /// How long records may gather at the broker before they are fetched; zero: not at all.
    #[serde(with = "humantime_serde")]
    pub gather: Duration,
    /// A changed key is snapshotted before its partition has moved on by so many records …
    pub snapshot_records: u64,
    /// … or after this long, whichever comes first.
    #[serde(with = "humantime_serde")]
    pub snapshot_interval: Duration,
    /// Offsets of records without output are committed this often.
    #[serde(with = "humantime_serde")]
    pub commit_interval: Duration,
    /// A partition that was at its end for so long has lost its source; zero: never.
    #[serde(with = "humantime_serde")]
    pub source_silence: Duration,
    /// Which format snapshots are written in.
    pub state_format: StateFormat,
    pub dlq_limit: DlqLimit,
}

/// What a worker needs of its process.
#[derive(Clone)]
pub struct OperatorContext {
    pub kafka: KafkaConfig,
    pub registry: Registry,
    pub writer: EventWriter,
    pub config: OperatorConfig,
}

/// Starts the workers. A later operator sent through `operators` (new rules, a new model) takes over between two turns.
pub fn start<O: Operator>(operators: &watch::Receiver<Arc<O>>, context: &OperatorContext, health: &Health, supervisor: &mut Supervisor) {
    let runtime = tokio::runtime::Handle::current();
    for number in 0..context.config.workers.max(1) {
        let name = format!("{}-worker-{number}", O::STAGE);
        let check = health.check(&name);
        let (operators, context, shutdown, runtime) = (operators.clone(), context.clone(), supervisor.shutdown(), runtime.clone());
        supervisor.spawn_thread(name, move || Ok(worker::run(&operators, &context, number, &check, &runtime, &shutdown)?));
    }
}

/// As [`start`], with one operator for good.
pub fn start_fixed<O: Operator>(operator: O, context: &OperatorContext, health: &Health, supervisor: &mut Supervisor) {
    let (_, operators) = watch::channel(Arc::new(operator));
    start(&operators, context, health, supervisor);
}
