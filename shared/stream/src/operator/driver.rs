//! Runs an operator without a broker: the same partition state, fed by hand, with every cut a process can suffer.
//!
//! For tests (any cut gives the outputs of no cut) and for asking what an operator would have said.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use events::{Event, Timestamp};

use super::Operator;
use super::partition::{Origin, PartitionState, Snapshot, SnapshotBounds, Step};
use super::progress::Progress;
use super::state::{StateFormat, decode_snapshot};
use super::wave::{Wave, prepare};
use crate::record::Cause;
use crate::{EventWriter, Failure, OutRecord};

/// What was said: topic, key and value of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub topic: String,
    pub key: Vec<u8>,
    pub value: Vec<u8>,
}

/// One partition of an operator: its input log, what is committed of it, and what a process has done beyond that.
pub struct Driver<O: Operator> {
    operator: O,
    writer: EventWriter,
    log: Vec<(String, O::Event)>,
    partition: PartitionState<O::State>,
    /// What the wall clock shows.
    clock: Timestamp,
    pending: Pending,
    committed: Committed,
}

/// A transaction that is being filled.
#[derive(Default)]
struct Pending {
    said: Vec<Said>,
    snapshots: Vec<Snapshot>,
}

/// What survives a crash.
#[derive(Default)]
struct Committed {
    said: Vec<Said>,
    snapshots: BTreeMap<Arc<str>, Vec<u8>>,
    position: Option<(i64, Progress)>,
}

impl<O: Operator> Driver<O> {
    pub fn new(operator: O, writer: EventWriter) -> Self {
        let (partition, clock) = (PartitionState::new(0, 0), Timestamp::MIN);
        Self { operator, writer, log: Vec::new(), partition, clock, pending: Pending::default(), committed: Committed::default() }
    }

    /// Appends to the input log.
    pub fn append(&mut self, event: O::Event) {
        self.log.push((event.key(), event));
    }

    /// Processes the next `count` records of the log. Poison is passed over, as its dead letter would be.
    pub fn process(&mut self, count: usize) -> Result<(), Failure> {
        let mut records = Vec::new();
        let mut wave = Wave::default();
        let next = self.partition.next_offset as usize;
        for (key, event) in self.log.iter().skip(next).take(count) {
            let at = self.operator.received_at(event);
            let mark = wave.mark(self.partition.number, key);
            if !wave.admits::<O>(&self.partition, mark, at) {
                end_wave(&mut self.partition, &self.operator, &self.writer, &mut wave, &mut records)?;
            }
            // Its timers run first.
            if O::BATCH == 1 || self.partition.has_due(at) {
                apply(&mut self.partition, &step(&self.operator, &self.writer), (key, event), &mut records)?;
            } else {
                wave.push(mark, (key.as_str(), event));
            }
        }
        end_wave(&mut self.partition, &self.operator, &self.writer, &mut wave, &mut records)?;
        self.say(records);
        Ok(())
    }

    /// The wall clock shows `now`: timers run by it where the log is at its end and the operator goes by it.
    pub fn tick(&mut self, now: Timestamp) -> Result<(), Failure> {
        if !O::WALL_CLOCK {
            return Ok(());
        }
        (self.clock, self.partition.wall) = (now, now);
        if self.partition.next_offset < self.log.len() as i64 {
            return Ok(());
        }
        let mut records = Vec::new();
        self.partition.tick(&step(&self.operator, &self.writer), &mut records)?;
        self.say(records);
        Ok(())
    }

    /// An event comes back through the retry topic.
    pub fn redrive(&mut self, event: &O::Event) -> Result<(), Failure> {
        let mut records = Vec::new();
        let step = step(&self.operator, &self.writer);
        self.partition.apply(&step, (&event.key(), event), Origin::Retry, &mut Cause::default, &mut records)?;
        self.say(records);
        Ok(())
    }

    /// A notice comes.
    pub fn hear(&mut self, notice: &O::Notice) -> Result<(), Failure> {
        let mut records = Vec::new();
        let step = step(&self.operator, &self.writer);
        self.partition.hear(&step, (&notice.key(), notice), &mut Cause::default, &mut records)?;
        self.say(records);
        Ok(())
    }

    /// Another operator takes over, as on a reload.
    pub fn replace(&mut self, operator: O) -> Result<(), Failure> {
        self.operator = operator;
        self.reconcile()
    }

    fn reconcile(&mut self) -> Result<(), Failure> {
        let mut records = Vec::new();
        self.partition.reconcile(&step(&self.operator, &self.writer), &mut records)?;
        self.say(records);
        Ok(())
    }

    fn say(&mut self, records: Vec<OutRecord>) {
        self.pending.said.extend(records.into_iter().map(|record| Said {
            topic: record.topic,
            key: record.key.unwrap_or_default(),
            value: record.value.unwrap_or_default(),
        }));
    }

    /// Takes off the log what is not processed: it comes later.
    pub fn drop_unprocessed(&mut self) {
        self.log.truncate(self.partition.next_offset as usize);
    }

    /// Snapshots every changed key into the transaction.
    pub fn snapshot(&mut self) -> Result<(), Failure> {
        self.snapshot_within(0)
    }

    /// Snapshots what was announced, and what changed `records` ago or earlier.
    pub fn snapshot_within(&mut self, records: i64) -> Result<(), Failure> {
        let bounds = SnapshotBounds { records, interval: Duration::MAX, format: StateFormat::Newest };
        let snapshots = self.partition.snapshots(bounds)?;
        self.pending.snapshots.extend(snapshots);
        Ok(())
    }

    /// Commits the transaction. An abort needs no call: the same bytes stay pending.
    pub fn commit(&mut self) -> Result<(), Failure> {
        self.snapshot_within(i64::MAX)?;
        let Pending { said, snapshots } = std::mem::take(&mut self.pending);
        self.committed.said.extend(said);
        for (key, snapshot) in snapshots {
            match snapshot {
                Some(bytes) => self.committed.snapshots.insert(key, bytes),
                None => self.committed.snapshots.remove(&key),
            };
        }
        self.committed.position = Some((self.partition.next_offset, self.partition.progress()));
        Ok(())
    }

    /// `kill -9`, then a new owner: everything uncommitted is gone, memory is rebuilt from snapshots and replay.
    pub fn crash(&mut self) -> Result<(), Failure> {
        self.pending = Pending::default();
        self.partition = PartitionState::new(0, 0);
        let Some((to, progress)) = self.committed.position else {
            self.partition.wall = self.clock;
            return Ok(());
        };
        for (key, bytes) in &self.committed.snapshots {
            let snapshot = decode_snapshot::<O::State>(bytes).map_err(Failure::fatal)?;
            self.partition.restore(key, Some(snapshot));
        }
        self.partition.begin_replay(&self.operator, progress.replay_time, progress.replay_from);
        let mut records = Vec::new();
        let step = Step { replaying: true, ..step(&self.operator, &self.writer) };
        for offset in progress.replay_from..to {
            let Some((key, event)) = self.log.get(offset as usize) else { break };
            apply(&mut self.partition, &step, (key, event), &mut records)?;
        }
        self.partition.end_replay(progress, to);
        self.partition.wall = self.clock;
        self.say(records);
        self.reconcile()
    }

    /// Keys held in memory and in the state topic.
    pub fn keys(&self) -> (usize, usize) {
        (self.partition.keys.len(), self.committed.snapshots.len())
    }

    /// The state of a key as of now.
    pub fn state(&self, key: &str) -> Option<&O::State> {
        self.partition.keys.get(key).map(|entry| &entry.state)
    }

    /// Everything committed so far, in order.
    pub fn said(&self) -> &[Said] {
        &self.committed.said
    }

    /// Processes the rest of the log and commits it.
    pub fn finish(&mut self) -> Result<&[Said], Failure> {
        self.process(self.log.len())?;
        self.commit()?;
        Ok(self.said())
    }
}

/// The batch step for all of a wave, then each event.
fn end_wave<O: Operator>(
    partition: &mut PartitionState<O::State>,
    operator: &O,
    writer: &EventWriter,
    wave: &mut Wave<(&str, &O::Event)>,
    records: &mut Vec<OutRecord>,
) -> Result<(), Failure> {
    let events = wave.end();
    let number = partition.number;
    prepare(operator, partition, |partition, _| Some(partition), events.iter().map(|(key, event)| (number, *key, *event)))?;
    let step = Step { prepared: true, ..step(operator, writer) };
    events.into_iter().try_for_each(|event| apply(partition, &step, event, records))
}

/// Applies the log's next event. Poison is passed over, as its dead letter would be.
fn apply<O: Operator>(
    partition: &mut PartitionState<O::State>,
    step: &Step<'_, O>,
    event: (&str, &O::Event),
    records: &mut Vec<OutRecord>,
) -> Result<(), Failure> {
    let origin = Origin::Input { offset: partition.next_offset };
    match partition.apply(step, event, origin, &mut Cause::default, records) {
        Ok(()) | Err(Failure::Poison(_)) => Ok(()),
        Err(failure) => Err(failure),
    }
}

fn step<'a, O>(operator: &'a O, writer: &'a EventWriter) -> Step<'a, O> {
    Step::new(operator, writer, "")
}
