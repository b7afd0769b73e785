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

/// `T` is an event on its way, and what belongs to it.
pub(crate) struct Wave<T> {
    taken: Vec<T>,
    /// Hashes of partition and key: two that collide end a wave early.
    keys: HashSet<u64>,
    hasher: DefaultHashBuilder,
}

impl<T> Default for Wave<T> {
    fn default() -> Self {
        Self { taken: Vec::new(), keys: HashSet::new(), hasher: DefaultHashBuilder::default() }
    }
}

impl<T> Wave<T> {
    /// Whether an event may join. It ends the wave if not.
    pub(crate) fn admits<O: Operator>(&self, partition: &PartitionState<O::State>, key: &str, at: Timestamp) -> bool {
        self.taken.len() < O::BATCH && !self.keys.contains(&self.hash(partition.number, key)) && !partition.has_due(at)
    }

    pub(crate) fn push(&mut self, partition: i32, key: &str, taken: T) {
        self.keys.insert(self.hash(partition, key));
        self.taken.push(taken);
    }

    pub(crate) fn end(&mut self) -> Vec<T> {
        self.keys.clear();
        std::mem::take(&mut self.taken)
    }

    fn hash(&self, partition: i32, key: &str) -> u64 {
        self.hasher.hash_one((partition, key))
    }
}
