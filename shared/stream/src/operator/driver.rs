//! Runs an operator without a broker: the same partition state, fed by hand, with every cut a process can suffer.
//!
//! For tests (any cut gives the outputs of no cut) and for asking what an operator would have said.

use std::collections::BTreeMap;

use events::Event;

use super::Operator;
use super::partition::{Effects, Origin, PartitionState, Progress, Step};
use super::state::decode_snapshot;
use crate::record::Cause;
use crate::{EventWriter, Failure, Poison};

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
    pending: Pending,
    committed: Committed,
}

/// A transaction that is being filled.
#[derive(Default)]
struct Pending {
    said: Vec<Said>,
    snapshots: Vec<(String, Option<Vec<u8>>)>,
}

/// What survives a crash.
#[derive(Default)]
struct Committed {
    said: Vec<Said>,
    snapshots: BTreeMap<String, Vec<u8>>,
    position: Option<(i64, Progress)>,
}

impl<O: Operator> Driver<O> {
    pub fn new(operator: O, writer: EventWriter) -> Self {
        let partition = PartitionState::new(0, 0);
        Self { operator, writer, log: Vec::new(), partition, pending: Pending::default(), committed: Committed::default() }
    }

    /// Appends to the input log.
    pub fn append(&mut self, event: O::Event) {
        self.log.push((event.key(), event));
    }

    /// Processes the next `count` records of the log. Poison is passed over, as its dead letter would be.
    pub fn process(&mut self, count: usize) -> Result<(), Failure> {
        for _ in 0..count {
            let offset = self.partition.next_offset;
            let Some((key, event)) = self.log.get(offset as usize) else { break };
            let mut effects = Effects::default();
            let step = step(&self.operator, &self.writer, false);
            match self.partition.apply(&step, (key, event), Origin::Input { offset }, &mut Cause::default, &mut effects) {
                Ok(()) | Err(Failure::Poison(Poison { .. })) => {}
                Err(failure) => return Err(failure),
            }
            for record in effects.outputs {
                let (key, value) = (record.key.unwrap_or_default(), record.value.unwrap_or_default());
                self.pending.said.push(Said { topic: record.topic, key, value });
            }
            for key in effects.announced {
                let snapshot = self.partition.snapshot(&key)?;
                self.pending.snapshots.push((key, snapshot));
            }
        }
        Ok(())
    }

    /// Snapshots every changed key into the transaction.
    pub fn snapshot(&mut self) -> Result<(), Failure> {
        let changed = self.partition.snapshot_changed()?;
        self.pending.snapshots.extend(changed);
        Ok(())
    }

    /// Commits the transaction. An abort needs no call: the same bytes stay pending.
    pub fn commit(&mut self) {
        let Pending { said, snapshots } = std::mem::take(&mut self.pending);
        self.committed.said.extend(said);
        for (key, snapshot) in snapshots {
            match snapshot {
                Some(bytes) => self.committed.snapshots.insert(key, bytes),
                None => self.committed.snapshots.remove(&key),
            };
        }
        self.committed.position = Some((self.partition.next_offset, self.partition.progress));
    }

    /// `kill -9`, then a new owner: everything uncommitted is gone, memory is rebuilt from snapshots and silent replay.
    pub fn crash(&mut self) -> Result<(), Failure> {
        self.pending = Pending::default();
        let mut partition = PartitionState::new(0, 0);
        if let Some((to, progress)) = self.committed.position {
            for (key, bytes) in &self.committed.snapshots {
                let snapshot = decode_snapshot::<O::State>(bytes).map_err(Failure::fatal)?;
                let due = self.operator.due(&snapshot.0);
                partition.restore(key.clone(), Some(snapshot), due);
            }
            partition.begin_replay(progress, progress.replay_from);
            let step = step(&self.operator, &self.writer, true);
            for offset in progress.replay_from..to {
                let Some((key, event)) = self.log.get(offset as usize) else { break };
                match partition.apply(&step, (key, event), Origin::Input { offset }, &mut Cause::default, &mut Effects::default()) {
                    Ok(()) | Err(Failure::Poison(Poison { .. })) => {}
                    Err(failure) => return Err(failure),
                }
            }
            partition.end_replay(progress, progress.replay_from, to);
        }
        self.partition = partition;
        Ok(())
    }

    /// Everything committed so far, in order.
    pub fn said(&self) -> &[Said] {
        &self.committed.said
    }

    /// Processes the rest of the log and commits it.
    pub fn finish(&mut self) -> Result<&[Said], Failure> {
        self.process(self.log.len())?;
        self.commit();
        Ok(self.said())
    }
}

fn step<'a, O>(operator: &'a O, writer: &'a EventWriter, silent: bool) -> Step<'a, O> {
    Step { operator, writer, input: "", silent }
}
