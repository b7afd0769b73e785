//! Events that an operator prepares together: of different keys, and with no timer due before the last of them. (One
//! that makes timers due is worked on alone.)
//!
//! So preparing them before the first is worked on changes nothing: a key's events and timers stay in their order, and
//! one key's state is nothing to another's. Where a wave ends changes no output and no snapshot.

use std::collections::HashSet;
use std::hash::BuildHasher;

use events::Timestamp;
use hashbrown::DefaultHashBuilder;

use super::Operator;
use super::partition::PartitionState;
use crate::Failure;

/// `T` is an event on its way, and what belongs to it.
pub(crate) struct Wave<T> {
    taken: Vec<T>,
    /// Two that collide end a wave early.
    marks: HashSet<u64>,
    hasher: DefaultHashBuilder,
}

impl<T> Default for Wave<T> {
    fn default() -> Self {
        Self { taken: Vec::new(), marks: HashSet::new(), hasher: DefaultHashBuilder::default() }
    }
}

impl<T> Wave<T> {
    /// What stands for a key of a partition here.
    pub(crate) fn mark(&self, partition: i32, key: &str) -> u64 {
        self.hasher.hash_one((partition, key))
    }

    /// Whether an event may join. It ends the wave if not.
    pub(crate) fn admits<O: Operator>(&self, partition: &PartitionState<O::State>, mark: u64, at: Timestamp) -> bool {
        self.taken.len() < O::BATCH && !self.marks.contains(&mark) && !partition.has_due(at)
    }

    pub(crate) fn push(&mut self, mark: u64, taken: T) {
        self.marks.insert(mark);
        self.taken.push(taken);
    }

    pub(crate) fn end(&mut self) -> Vec<T> {
        self.marks.clear();
        std::mem::take(&mut self.taken)
    }
}

/// The batch step over events, each with its partition and key: their states are lent to the operator and taken back.
pub(crate) fn prepare<'e, O: Operator, P>(
    operator: &O,
    partitions: &mut P,
    of: impl Fn(&mut P, i32) -> Option<&mut PartitionState<O::State>>,
    events: impl Iterator<Item = (i32, &'e str, &'e O::Event)>,
) -> Result<(), Failure> {
    let (mut lent, mut batch) = (Vec::new(), Vec::new());
    for (number, key, event) in events {
        if let Some(partition) = of(partitions, number) {
            lent.push((number, key));
            batch.push((event, partition.lend(key)));
        }
    }
    operator.prepare(&mut batch)?;
    for ((number, key), (_, state)) in lent.into_iter().zip(batch) {
        if let Some(partition) = of(partitions, number) {
            partition.take_back(key, state);
        }
    }
    Ok(())
}
