//! How many rows to ask of each slot, so that a batch is full without reading many times its size.

/// Rows asked of each slot. Even load needs few; a slot that has more than its part makes the next question deeper.
#[derive(Clone, Copy, Debug)]
pub struct Depth {
    batch: usize,
    rows: usize,
}

impl Depth {
    /// For batches of `batch` rows.
    pub fn new(batch: usize) -> Self {
        Self { batch: batch.max(1), rows: 0 }
    }

    /// Rows to ask of each of `slots` slots.
    pub fn of(&self, slots: usize) -> usize {
        let even = (self.batch * 2).div_ceil(slots.max(1));
        self.rows.max(even).min(self.batch)
    }

    /// Learns from a batch: how many rows came, and how many of them from the slot that gave most.
    pub fn learn(&mut self, slots: usize, found: usize, most: usize) {
        let asked = self.of(slots);
        self.rows = if found < self.batch && most >= asked { asked * 2 } else { asked / 2 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_busy_slot_soon_fills_a_batch() {
        let mut depth = Depth::new(2000);
        let mut asked = Vec::new();
        for _ in 0..7 {
            let found = depth.of(64);
            asked.push(found);
            depth.learn(64, found, found);
        }
        assert_eq!(asked, [63, 126, 252, 504, 1008, 2000, 1000]);
    }

    #[test]
    fn even_load_is_asked_for_evenly() {
        let mut depth = Depth::new(2000);
        depth.learn(64, 2000, 40);
        assert_eq!(depth.of(64), 63);
        assert_eq!(depth.of(1), 2000);
        assert_eq!(depth.of(0), 2000);
    }
}
