//! A partition's keys, each with its state: one hash and no allocation to find one that is known.

use std::hash::BuildHasher;
use std::sync::Arc;

use events::Timestamp;
use hashbrown::hash_table::Entry as Slot;
use hashbrown::{DefaultHashBuilder, HashTable};

pub(crate) struct Entry<S> {
    pub(crate) key: Arc<str>,
    pub(crate) state: S,
    /// Next input offset the state reflects.
    pub(crate) next_offset: i64,
    /// Offset of the oldest change its snapshot misses.
    pub(crate) dirty_since: Option<i64>,
    /// Its timer; the state may want to be called later than that, never earlier.
    pub(crate) scheduled: Option<Timestamp>,
    /// To be snapshotted with the present transaction.
    pub(crate) announced: bool,
}

pub(crate) struct Keys<S> {
    entries: HashTable<Entry<S>>,
    hasher: DefaultHashBuilder,
}

impl<S> Default for Keys<S> {
    fn default() -> Self {
        Self { entries: HashTable::new(), hasher: DefaultHashBuilder::default() }
    }
}

impl<S: Default> Keys<S> {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Entry<S>> {
        self.entries.find(self.hasher.hash_one(key), |entry| &*entry.key == key)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Entry<S>> {
        self.entries.find_mut(self.hasher.hash_one(key), |entry| &*entry.key == key)
    }

    pub(crate) fn get_or_default(&mut self, key: &str) -> &mut Entry<S> {
        let hasher = &self.hasher;
        let slot = self.entries.entry(hasher.hash_one(key), |entry| &*entry.key == key, |entry| hasher.hash_one(&*entry.key));
        match slot {
            Slot::Occupied(slot) => slot.into_mut(),
            Slot::Vacant(slot) => {
                let entry =
                    Entry { key: key.into(), state: S::default(), next_offset: 0, dirty_since: None, scheduled: None, announced: false };
                slot.insert(entry).into_mut()
            }
        }
    }

    pub(crate) fn remove(&mut self, key: &str) -> Option<Entry<S>> {
        let found = self.entries.find_entry(self.hasher.hash_one(key), |entry| &*entry.key == key);
        found.ok().map(|slot| slot.remove().0)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry<S>> {
        self.entries.iter_mut()
    }
}
