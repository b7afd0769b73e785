//! How soon to look again.

use std::time::{Duration, Instant};

/// The pause is at most this part of the silence so far: rows that come every so often wait a fraction of that.
const PART: u32 = 8;

/// Quick while rows come, slower the longer none do. Rows that a wake announced need no looking for.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    shortest: Duration,
    longest: Duration,
    last_row: Instant,
    announced: bool,
}

impl Pace {
    pub fn new(shortest: Duration, longest: Duration, now: Instant) -> Self {
        Self { shortest, longest, last_row: now, announced: false }
    }

    /// Rows were found, after a wake or without. More is waiting already: at once.
    pub fn some(&mut self, more: bool, announced: bool, now: Instant) -> Duration {
        self.last_row = now;
        self.announced = announced;
        if more { Duration::ZERO } else { self.none(now) }
    }

    /// Nothing was found.
    pub fn none(&self, now: Instant) -> Duration {
        if self.announced {
            return self.longest;
        }
        (now.saturating_duration_since(self.last_row) / PART).clamp(self.shortest, self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_outbox_is_looked_at_less_and_less_until_a_row_comes() {
        let start = Instant::now();
        let mut pace = Pace::new(Duration::from_millis(2), Duration::from_millis(50), start);
        let after = |silence: u64| start + Duration::from_millis(silence);
        let idle: Vec<u128> = [0, 16, 80, 400, 9_000].into_iter().map(|silence| pace.none(after(silence)).as_millis()).collect();
        assert_eq!(idle, [2, 2, 10, 50, 50]);
        assert_eq!(pace.some(false, false, after(9_000)), Duration::from_millis(2));
        assert_eq!(pace.none(after(9_016)), Duration::from_millis(2));
        assert_eq!(pace.some(true, false, after(9_016)), Duration::ZERO);
    }

    #[test]
    fn rows_that_are_announced_are_waited_for_until_one_comes_unannounced() {
        let start = Instant::now();
        let (shortest, longest) = (Duration::from_millis(2), Duration::from_millis(50));
        let mut pace = Pace::new(shortest, longest, start);
        assert_eq!(pace.some(true, true, start), Duration::ZERO);
        assert_eq!((pace.some(false, true, start), pace.none(start)), (longest, longest));
        assert_eq!((pace.some(false, false, start), pace.none(start)), (shortest, shortest));
    }
}
