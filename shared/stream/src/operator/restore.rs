//! Rebuilding a partition's state on taking it over.
//!
//! Order matters: stable committed offsets first; then the state topic's end, read uncommitted; then everything
//! committed up to it; then a silent replay of the input from `replay_from` to the committed offset.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};

use super::partition::{Effects, Origin, PartitionState, Progress, Step};
use super::state::{RETRY_POSITION_KEY, decode_snapshot};
use super::{Operator, OperatorContext};
use crate::consumer::Member;
use crate::decode::decode_blocking;
use crate::reader::Reader;
use crate::record::Cause;
use crate::{Failure, Poison};

const TIMEOUT: Duration = Duration::from_secs(10);
/// A transaction left open by a dead owner ends within its timeout; waiting longer means something else is wrong.
const STABLE_WITHIN: Duration = Duration::from_mins(1);

/// Reads for restoring: never a member of the group, never commits.
pub(crate) struct Restorer {
    committed: BaseConsumer<Reader>,
    uncommitted: BaseConsumer<Reader>,
    input: String,
    snapshots: String,
}

impl Restorer {
    pub(crate) fn new(context: &OperatorContext, stage: &str, input: String, snapshots: String) -> Result<Self, Failure> {
        let config = |isolation: &str| -> Result<BaseConsumer<Reader>, Failure> {
            let mut config = context.kafka.consumer(&format!("{stage}-restore"))?;
            config
                .set("isolation.level", isolation)
                .set("enable.partition.eof", "true")
                .set("group.id", context.kafka.prefixed(&format!("{stage}-restore")));
            Ok(config.create_with_context(Reader)?)
        };
        Ok(Self { committed: config("read_committed")?, uncommitted: config("read_uncommitted")?, input, snapshots })
    }

    /// The partition as its last owner committed it.
    pub(crate) fn restore<O: Operator>(
        &self,
        operator: &O,
        context: &OperatorContext,
        runtime: &tokio::runtime::Handle,
        member: &Member,
        partition: i32,
    ) -> Result<PartitionState<O::State>, Failure> {
        let started = Instant::now();
        let (committed, progress) = self.committed_progress(member, partition)?;
        let (log_start, _) = self.uncommitted.fetch_watermarks(&self.input, partition, TIMEOUT)?;
        let next_offset = committed.unwrap_or(log_start);
        let mut state = PartitionState::new(partition, next_offset);
        let snapshots = self.read_snapshots(operator, partition, &mut state)?;
        let replayed = match progress {
            Some(progress) => {
                let from = progress.replay_from.max(log_start);
                if from > progress.replay_from {
                    tracing::warn!(
                        partition,
                        from = progress.replay_from,
                        log_start,
                        keys = state.keys.len(),
                        "the log no longer reaches back to the last snapshots"
                    );
                }
                state.begin_replay(progress, from);
                let replayed = self.replay(operator, context, runtime, from, next_offset, &mut state)?;
                state.end_replay(progress, from, next_offset);
                replayed
            }
            None if committed.is_some() && snapshots > 0 => {
                return Err(Failure::fatal(format!(
                    "{} [{partition}]: the committed offset carries no replay position although {snapshots} snapshots exist; reset the group's offsets to the beginning to rebuild",
                    self.input
                )));
            }
            None => 0,
        };
        telemetry::metrics::histogram("fieldwatch_restore_seconds", &[("stage", O::STAGE)]).observe(started.elapsed().as_secs_f64());
        telemetry::metrics::counter("fieldwatch_replayed_records", &[("stage", O::STAGE)]).inc_by(replayed);
        tracing::info!(partition, next_offset, snapshots, replayed, keys = state.keys.len(), took = ?started.elapsed(), "restored");
        Ok(state)
    }

    fn committed_progress(&self, member: &Member, partition: i32) -> Result<(Option<i64>, Option<Progress>), Failure> {
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition(&self.input, partition);
        let committed = member.consumer().committed_offsets(wanted, TIMEOUT)?;
        let Some(found) = committed.find_partition(&self.input, partition) else { return Ok((None, None)) };
        match found.offset() {
            Offset::Offset(offset) => Ok((Some(offset), Progress::from_metadata(found.metadata()))),
            _ => Ok((None, None)),
        }
    }

    /// Reads the state topic's partition; returns how many snapshots it held.
    fn read_snapshots<O: Operator>(&self, operator: &O, partition: i32, state: &mut PartitionState<O::State>) -> Result<usize, Failure> {
        let (start, end) = self.uncommitted.fetch_watermarks(&self.snapshots, partition, TIMEOUT)?;
        if start == end {
            return Ok(0);
        }
        let waiting = Instant::now();
        // The newest snapshots may still be in a transaction that nobody has ended yet.
        while self.committed.fetch_watermarks(&self.snapshots, partition, TIMEOUT)?.1 < end {
            if waiting.elapsed() > STABLE_WITHIN {
                return Err(Failure::transient(format!("{} [{partition}] has a transaction that does not end", self.snapshots)));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut snapshots = 0;
        self.read(&self.snapshots, partition, Offset::Beginning, |message| {
            let Some(key) = message.key() else { return Ok(true) };
            if key == RETRY_POSITION_KEY {
                state.retry_offset = message.payload().and_then(|value| value.try_into().ok()).map_or(0, i64::from_be_bytes);
                return Ok(true);
            }
            let key = String::from_utf8_lossy(key).into_owned();
            let snapshot = message
                .payload()
                .map(decode_snapshot::<O::State>)
                .transpose()
                .map_err(|error| Failure::fatal(format!("state of {key}: {error}")))?;
            snapshots += 1;
            let due = snapshot.as_ref().and_then(|(state, _)| operator.due(state));
            state.restore(key, snapshot, due);
            Ok(true)
        })?;
        Ok(snapshots)
    }

    /// Applies the input `from..to` without saying anything.
    fn replay<O: Operator>(
        &self,
        operator: &O,
        context: &OperatorContext,
        runtime: &tokio::runtime::Handle,
        from: i64,
        to: i64,
        state: &mut PartitionState<O::State>,
    ) -> Result<u64, Failure> {
        let mut replayed = 0;
        if from < to {
            let mut effects = Effects::default();
            let step = Step { operator, writer: &context.writer, input: &self.input, silent: true };
            self.read(&self.input, state.number, Offset::Offset(from), |message| {
                if message.offset() >= to {
                    return Ok(false);
                }
                replayed += 1;
                let Some(value) = message.payload() else { return Ok(true) };
                match decode_blocking::<O::Event>(&context.registry, runtime, value) {
                    Ok(event) => {
                        let key = String::from_utf8_lossy(message.key().unwrap_or_default());
                        let origin = Origin::Input { offset: message.offset() };
                        state.apply(&step, (&key, &event), origin, &mut Cause::default, &mut effects)?;
                    }
                    // It went to the dead-letter queue when it was live.
                    Err(Failure::Poison(Poison { .. })) => {}
                    Err(failure) => return Err(failure),
                }
                Ok(message.offset() + 1 < to)
            })?;
        }
        Ok(replayed)
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
