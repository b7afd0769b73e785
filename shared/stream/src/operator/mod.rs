//! Operator: keyed state over one input topic, exactly once.
//!
//! An operator is pure: no I/O, no clock, no randomness. A worker thread owns one consumer, one transactional producer
//! and the state of its partitions. Outputs, offsets and snapshots commit in one transaction. Memory that caused no
//! output is snapshotted now and then, and rebuilt by silent replay from the oldest offset it misses.

pub mod driver;
mod partition;
mod restore;
mod state;
mod transaction;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use events::{Event, Timestamp};
use serde::Deserialize;
use service::{Health, Supervisor};
use telemetry::span::{MessageSpan, Operation};

pub use state::{State, StateUnreadable, decode_snapshot};

use crate::dlq::DlqLimit;
use crate::record::Cause;
use crate::{EventWriter, Failure, KafkaConfig, OutRecord, Registry};

/// A keyed, deterministic stage.
pub trait Operator: Send + Sync + 'static {
    type Event: Event;
    type State: State;

    /// Service, or `<service>-<stage>`: consumer group and name of its state, retry and dead-letter topics.
    const STAGE: &'static str;

    /// When the bridge took the event; the highest seen is the partition's time.
    fn received_at(&self, event: &Self::Event) -> Timestamp;

    /// Works on one event of `key`.
    fn on_event(&self, key: &str, event: &Self::Event, state: &mut Self::State, outputs: &mut Outputs<'_>) -> Result<(), Failure>;

    /// When `state` next wants [`on_time`](Self::on_time), if at all.
    fn due(&self, _state: &Self::State) -> Option<Timestamp> {
        None
    }

    /// Works on what time or absence causes; `now` is the due time.
    fn on_time(&self, _key: &str, _now: Timestamp, _state: &mut Self::State, _outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        Ok(())
    }
}

/// `[operator]` of a service's configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorConfig {
    /// Worker threads; each owns a share of the partitions.
    pub workers: usize,
    /// Records taken in one poll at most, and so the size of a transaction.
    pub max_poll_records: usize,
    /// A partition's changed keys are snapshotted after so many records …
    pub snapshot_records: u64,
    /// … or this long after the last time, whichever comes first.
    #[serde(with = "humantime_serde")]
    pub snapshot_interval: Duration,
    /// Offsets of records without output are committed this often.
    #[serde(with = "humantime_serde")]
    pub commit_interval: Duration,
    pub dlq_limit: DlqLimit,
}

/// What an operator says in answer to one event, in order.
pub struct Outputs<'a> {
    writer: &'a EventWriter,
    input: &'a str,
    cause: &'a mut dyn FnMut() -> Cause,
    known: Option<(Cause, MessageSpan)>,
    records: Vec<OutRecord>,
    /// Replaying: what is said was said before.
    silent: bool,
}

impl<'a> Outputs<'a> {
    pub(crate) fn new(writer: &'a EventWriter, input: &'a str, cause: &'a mut dyn FnMut() -> Cause, silent: bool) -> Self {
        Self { writer, input, cause, known: None, records: Vec::new(), silent }
    }

    /// Sends an event. It continues the input's trace; whatever is sent is worth a sampled trace.
    pub fn emit<E: Event>(&mut self, event: &E) -> Result<(), Failure> {
        if self.silent {
            return Ok(());
        }
        let (writer, input) = (self.writer, self.input);
        let cause = &mut self.cause;
        let (cause, span) = self.known.get_or_insert_with(|| {
            let cause = cause();
            let span = MessageSpan::start_sampled(Operation::Process, input, cause.trace.as_ref());
            (cause, span)
        });
        let record = writer.record(event, cause, span.context())?;
        self.records.push(record);
        Ok(())
    }

    pub(crate) fn into_records(self) -> Vec<OutRecord> {
        self.records
    }
}

/// What a worker needs of its process.
#[derive(Clone)]
pub struct OperatorContext {
    pub kafka: KafkaConfig,
    pub registry: Registry,
    pub writer: EventWriter,
    pub config: OperatorConfig,
}

/// Starts the workers of `operator`.
pub fn start<O: Operator>(operator: &Arc<O>, context: &OperatorContext, health: &Health, supervisor: &mut Supervisor) {
    let runtime = tokio::runtime::Handle::current();
    for number in 0..context.config.workers.max(1) {
        let name = format!("{}-worker-{number}", O::STAGE);
        let check = health.check(&name);
        let (operator, context, shutdown, runtime) = (Arc::clone(operator), context.clone(), supervisor.shutdown(), runtime.clone());
        supervisor.spawn_thread(name, move || {
            let worker = worker::Worker::new(operator, context, number, check, runtime);
            Ok(worker.run(&shutdown)?)
        });
    }
}
