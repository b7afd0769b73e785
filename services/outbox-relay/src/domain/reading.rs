//! How to look for the next batch.
//!
//! Through each slot's own part of the index, what waits in other slots costs nothing, but the rows lie far apart and have
//! to be sorted. Through all ids in order, rows come as they lie, and most may be of other slots. So a backlog of one's own
//! is read by ids, all else by slots.

use super::SLOTS;

/// One way to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// So many rows of each slot at most.
    Slots { each: usize },
    /// So many rows at most, other slots' among them: fewer than a batch found says nothing of what is left.
    Ids { most: usize },
}

/// What the last batch tells of the next.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    batch: usize,
    /// Rows asked of each slot. Even load needs few; a slot that has more than its part makes the next question deeper.
    each: usize,
    /// The last batch was full, and nearly all that lay between its ids was one's own or another lane's.
    dense: bool,
}

impl Reading {
    /// For batches of `batch` rows.
    pub fn new(batch: usize) -> Self {
        Self { batch: batch.max(1), each: 0, dense: false }
    }

    /// How to look in `slots` slots.
    pub fn path(&self, slots: usize) -> Path {
        if self.dense && slots * 8 >= SLOTS { Path::Ids { most: self.most(slots) } } else { self.by_slots(slots) }
    }

    /// Misses nothing.
    pub fn by_slots(&self, slots: usize) -> Path {
        let even = (self.batch * 2).div_ceil(slots.max(1));
        Path::Slots { each: self.each.max(even).min(self.batch) }
    }

    /// Learns from a batch: how many rows came, how many of them from the slot that gave most, and how far apart the first
    /// and the last id were.
    pub fn learn(&mut self, path: Path, slots: usize, found: usize, most: usize, span: i64) {
        if let Path::Slots { each } = path {
            self.each = if found < self.batch && most >= each { each * 2 } else { each / 2 };
        }
        self.dense = found >= self.batch && span <= self.most(slots) as i64;
    }

    /// Twice what an even share needs.
    fn most(&self, slots: usize) -> usize {
        self.batch * 2 * SLOTS / slots.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_busy_slot_soon_fills_a_batch() {
        let mut reading = Reading::new(2000);
        let mut asked = Vec::new();
        for _ in 0..7 {
            let path = reading.path(64);
            let Path::Slots { each } = path else { panic!("{path:?}: one slot of many") };
            asked.push(each);
            reading.learn(path, 64, each, each, 1_000_000);
        }
        assert_eq!(asked, [63, 126, 252, 504, 1008, 2000, 1000]);
    }

    #[test]
    fn even_load_is_asked_for_evenly() {
        let mut reading = Reading::new(2000);
        reading.learn(reading.path(64), 64, 500, 40, 500);
        assert_eq!(reading.path(64), Path::Slots { each: 63 });
        assert_eq!(reading.path(1), Path::Slots { each: 2000 });
        assert_eq!(reading.path(0), Path::Slots { each: 2000 });
    }

    #[test]
    fn a_backlog_of_ones_own_is_read_by_ids_and_any_other_by_slots() {
        let mut reading = Reading::new(2000);
        reading.learn(reading.path(16), 16, 2000, 130, 8_000);
        assert_eq!(reading.path(16), Path::Ids { most: 16_000 });
        assert_eq!(reading.path(4), Path::Slots { each: 1000 }, "most of what lies there is others'");
        reading.learn(reading.path(16), 16, 1999, 130, 8_000);
        assert_eq!(reading.path(16), Path::Slots { each: 250 }, "its end");
        reading.learn(reading.path(16), 16, 2000, 130, 50_000);
        assert_eq!(reading.path(16), Path::Slots { each: 250 }, "others' backlog lies between");
    }
}
