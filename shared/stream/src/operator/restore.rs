//! Rebuilding partitions on taking them over, on a thread of its own: the worker goes on polling meanwhile.
//!
//! Order matters: stable committed offsets first; then the state topic's end, read uncommitted; then everything
//! committed up to it; then a replay of the input from `replay_from` to the committed offset, which says nothing, for it
//! was said before. What it says all the same is new: the operator has changed since.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use events::{Event, Timestamp, topics};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};
use service::Shutdown;
use telemetry::metrics;

use super::partition::{Origin, PartitionState, Step};
use super::progress::Progress;
use super::state::{NOTICE_POSITION_KEY, RETRY_POSITION_KEY, SILENT_SINCE_KEY, decode_snapshot};
use super::{Operator, OperatorContext};
use crate::bootstrap::Bootstrap;
use crate::decode::Decoder;
use crate::failure::backoff;
use crate::record::Cause;
use crate::watermarks::watermarks;
use crate::{Failure, OutRecord};

const TIMEOUT: Duration = Duration::from_secs(10);
/// A transaction left open by a dead owner ends within its timeout; waiting longer means something else is wrong.
const STABLE_WITHIN: Duration = Duration::from_mins(1);
/// How often a dependency may say "later" before the process gives up.
const ATTEMPTS: u32 = 20;

/// Partitions taken over in one assignment.
pub(crate) struct Request<O> {
    pub(crate) assignment: u64,
    pub(crate) operator: Arc<O>,
    pub(crate) partitions: Vec<i32>,
}

pub(crate) struct Restored<S> {
    pub(crate) assignment: u64,
    pub(crate) partitions: Vec<(PartitionState<S>, Vec<OutRecord>)>,
}

/// Reads for restoring: never subscribes, never commits.
pub(crate) struct Restorer<'a, O: Operator> {
    context: &'a OperatorContext,
    shutdown: &'a Shutdown,
    /// Only asked for the group's offsets.
    group: BaseConsumer<Bootstrap>,
    committed: BaseConsumer<Bootstrap>,
    uncommitted: BaseConsumer<Bootstrap>,
    decoder: Decoder<'a, O::Event>,
    input: String,
    snapshots: String,
}

impl<'a, O: Operator> Restorer<'a, O> {
    pub(crate) fn new(context: &'a OperatorContext, runtime: &'a tokio::runtime::Handle, shutdown: &'a Shutdown) -> Result<Self, Failure> {
        let kafka = &context.kafka;
        let consumer = |isolation: &str, group: &str| -> Result<BaseConsumer<Bootstrap>, Failure> {
            let mut config = kafka.consumer(&format!("{}-restore", O::STAGE))?;
            // The broker holds a fetch at the end of the log back for this long, for each partition in turn.
            config.set("fetch.wait.max.ms", "5");
            config.set("isolation.level", isolation).set("enable.partition.eof", "true").set("group.id", kafka.prefixed(group));
            Bootstrap::consumer(&config)
        };
        let own = format!("{}-restore", O::STAGE);
        Ok(Self {
            context,
            shutdown,
            group: consumer("read_committed", O::STAGE)?,
            committed: consumer("read_committed", &own)?,
            uncommitted: consumer("read_uncommitted", &own)?,
            decoder: Decoder::new(&context.registry, runtime),
            input: kafka.prefixed(O::Event::SCHEMA.topic),
            snapshots: kafka.prefixed(&topics::state(O::STAGE)),
        })
    }

    /// Restores what it is asked for until nobody asks any more.
    pub(crate) fn serve(mut self, requests: &Receiver<Request<O>>, answers: &Sender<Result<Restored<O::State>, Failure>>) {
        while let Ok(Request { assignment, operator, partitions }) = requests.recv() {
            let partitions: Result<Vec<_>, Failure> =
                partitions.into_iter().map(|partition| self.until_restored(&operator, partition)).collect();
            // What a shutdown cut short is no failure, and nobody waits for it.
            if self.shutdown.is_cancelled() {
                continue;
            }
            if answers.send(partitions.map(|partitions| Restored { assignment, partitions })).is_err() {
                break;
            }
        }
    }

    fn until_restored(&mut self, operator: &O, partition: i32) -> Result<(PartitionState<O::State>, Vec<OutRecord>), Failure> {
        for attempt in 0..ATTEMPTS {
            match self.restore(operator, partition) {
                Err(Failure::Transient(problem)) if !self.shutdown.is_cancelled() => {
                    Failure::Transient(problem).note("restoring");
                    self.group.context().again();
                    std::thread::sleep(backoff(attempt, partition as u64));
                }
                outcome => return outcome,
            }
        }
        Err(Failure::fatal(format!("{} [{partition}] cannot be restored", self.snapshots)))
    }

    /// The partition as its last owner committed it, and what replaying it said.
    fn restore(&mut self, operator: &O, partition: i32) -> Result<(PartitionState<O::State>, Vec<OutRecord>), Failure> {
        let started = Instant::now();
        let (committed, progress) = self.committed_progress(partition)?;
        let (log_start, _) = watermarks(&self.uncommitted, &self.input, partition, TIMEOUT)?;
        let next_offset = committed.unwrap_or(log_start);
        let mut state = PartitionState::new(partition, next_offset);
        let snapshots = self.read_snapshots(partition, &mut state)?;
        let (mut replayed, mut said) = (0, Vec::new());
        match progress {
            Some(progress) => {
                let from = progress.replay_from.max(log_start).min(next_offset);
                if from > progress.replay_from {
                    tracing::warn!(
                        partition,
                        from = progress.replay_from,
                        log_start,
                        keys = state.keys.len(),
                        "the log no longer reaches back to the oldest change without a snapshot"
                    );
                }
                state.begin_replay(operator, progress.replay_time, from);
                (replayed, said) = self.replay(operator, from, next_offset, &mut state)?;
                state.end_replay(progress, next_offset);
            }
            None if committed.is_some() && snapshots > 0 => {
                return Err(Failure::fatal(format!(
                    "{} [{partition}]: the committed offset carries no replay position although {snapshots} snapshots exist; to rebuild from snapshots and log, stop every replica and run kafka-consumer-groups.sh --delete-offsets --group {} --topic {}",
                    self.input,
                    self.context.kafka.prefixed(O::STAGE),
                    self.input
                )));
            }
            None => state.begin_replay(operator, Timestamp::MIN, next_offset),
        }
        let labels = [("stage", O::STAGE)];
        if !said.is_empty() {
            metrics::counter("fieldwatch_replay_divergence", &labels).inc_by(said.len() as u64);
            tracing::warn!(partition, outputs = said.len(), "replay says what was not said before: rules or model have changed");
        }
        metrics::histogram("fieldwatch_restore_seconds", &labels).observe(started.elapsed().as_secs_f64());
        metrics::counter("fieldwatch_replayed_records", &labels).inc_by(replayed);
        tracing::info!(partition, next_offset, snapshots, replayed, keys = state.keys.len(), took = ?started.elapsed(), "restored");
        Ok((state, said))
    }

    fn committed_progress(&self, partition: i32) -> Result<(Option<i64>, Option<Progress>), Failure> {
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition(&self.input, partition);
        let committed = self.group.committed_offsets(wanted, TIMEOUT)?;
        let Some(found) = committed.find_partition(&self.input, partition) else { return Ok((None, None)) };
        // What could not be asked is not the same as nothing committed.
        found.error()?;
        match found.offset() {
            Offset::Offset(offset) => Ok((Some(offset), Progress::from_metadata(found.metadata()))),
            _ => Ok((None, None)),
        }
    }

    /// Reads the state topic's partition; returns how many snapshots it held.
    fn read_snapshots(&self, partition: i32, state: &mut PartitionState<O::State>) -> Result<usize, Failure> {
        let (start, end) = watermarks(&self.uncommitted, &self.snapshots, partition, TIMEOUT)?;
        if start == end {
            return Ok(0);
        }
        let waiting = Instant::now();
        // The newest snapshots may still be in a transaction that nobody has ended yet.
        while watermarks(&self.committed, &self.snapshots, partition, TIMEOUT)?.1 < end {
            if waiting.elapsed() > STABLE_WITHIN {
                return Err(Failure::transient(format!("{} [{partition}] has a transaction that does not end", self.snapshots)));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let number = |message: &BorrowedMessage<'_>| message.payload().and_then(|value| value.try_into().ok()).map(i64::from_be_bytes);
        let mut snapshots = 0;
        self.read(&self.snapshots, partition, Offset::Beginning, |message| {
            match message.key() {
                None => {}
                Some(RETRY_POSITION_KEY) => state.retry_offset = number(message).unwrap_or_default(),
                Some(NOTICE_POSITION_KEY) => {
                    state.notice_kept = number(message).unwrap_or_default();
                    state.notice_offset = state.notice_kept;
                }
                Some(SILENT_SINCE_KEY) => state.silent_since = number(message).map(Timestamp::from_micros),
                Some(key) => {
                    let key = String::from_utf8_lossy(key);
                    let snapshot = message.payload().map(decode_snapshot::<O::State>).transpose();
                    state.restore(&key, snapshot.map_err(|error| Failure::fatal(format!("state of {key}: {error}")))?);
                    snapshots += 1;
                }
            }
            Ok(true)
        })?;
        Ok(snapshots)
    }

    /// Applies the input `from..to`; returns how many records that were, and what was said.
    fn replay(&mut self, operator: &O, from: i64, to: i64, state: &mut PartitionState<O::State>) -> Result<(u64, Vec<OutRecord>), Failure> {
        let (mut replayed, mut said) = (0, Vec::new());
        if from < to {
            let step = Step { replaying: true, ..Step::new(operator, &self.context.writer, &self.input) };
            let mut decoder = self.decoder.clone();
            self.read(&self.input, state.number, Offset::Offset(from), |message| {
                if message.offset() >= to {
                    return Ok(false);
                }
                replayed += 1;
                let Some(value) = message.payload() else { return Ok(true) };
                let key = String::from_utf8_lossy(message.key().unwrap_or_default());
                let origin = Origin::Input { offset: message.offset() };
                let applied = decoder
                    .decode(value)
                    .and_then(|event| state.apply(&step, (&key, &event), origin, &mut || Cause::of(message), &mut said));
                match applied {
                    // It went to the dead-letter queue when it was live.
                    Ok(()) | Err(Failure::Poison(_)) => Ok(message.offset() + 1 < to),
                    Err(failure) => Err(failure),
                }
            })?;
        }
        Ok((replayed, said))
    }

    /// Reads a partition to its end, or until `each` says stop.
    fn read(
        &self,
        topic: &str,
        partition: i32,
        from: Offset,
        mut each: impl FnMut(&BorrowedMessage<'_>) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let mut assignment = TopicPartitionList::new();
        assignment.add_partition_offset(topic, partition, from)?;
        self.committed.assign(&assignment)?;
        let outcome = loop {
            if self.shutdown.is_cancelled() {
                break Err(Failure::transient("shutting down"));
            }
            match self.committed.poll(TIMEOUT) {
                Some(Ok(message)) => match each(&message) {
                    Ok(true) => {}
                    Ok(false) => break Ok(()),
                    Err(failure) => break Err(failure),
                },
                Some(Err(KafkaError::PartitionEOF(_))) => break Ok(()),
                Some(Err(error)) => break Err(error.into()),
                None => break Err(Failure::transient(format!("{topic} [{partition}]: no answer within {TIMEOUT:?}"))),
            }
        };
        self.committed.unassign()?;
        outcome
    }
}
