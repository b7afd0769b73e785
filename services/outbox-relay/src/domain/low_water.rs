//! From which id on to read.
//!
//! Deleted rows stay in the index for as long as any transaction may see them; a reader that starts at the front walks
//! over all of them, again and again. Guarantees: nothing that is or may become visible is below the mark. Ids become
//! visible out of order, so the mark rises past an id only with a read after the end of every transaction that ran when the
//! id was read, and a moment later, for writers that draw ids before they have a number. Should a row appear below it all
//! the same, the sweep finds it: it looks below the mark a part at a time, each as large as is soon looked through.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::RowId;

/// For writers that draw an id before they have a transaction number, as a bare `INSERT` does: Postgres gives them one within
/// the same statement. (`outbox_lock` has it given first.)
const LINGER: Duration = Duration::from_millis(100);
/// From one question about the running transactions to the next.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// The same where no rows come: the mark rises with what others have.
const ASK_AT_LEAST_EVERY: Duration = Duration::from_secs(1);
/// Candidates that wait at once; while a transaction of hours holds them back no more are of use.
const MOST_CANDIDATES: usize = 3;
/// From one sweep's end to the next one's beginning.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// From one part of a sweep to the next.
const PART_EVERY: Duration = Duration::from_secs(1);
/// What a part may take: whatever became visible meanwhile waits for it.
const PART_TAKES: Duration = Duration::from_millis(4);
/// Ids of a sweep's first part, and at most of the one after a part that took long.
const FIRST_PART: i64 = 10_000;

/// The transactions of one moment, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizon {
    /// Everything below has ended.
    pub xmin: i64,
    /// Everything from here on had not begun to write.
    pub next: i64,
    /// No id above this was drawn yet.
    pub drawn: i64,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    mark: i64,
    /// Of the horizon after the read that found nothing up to `mark`.
    next: i64,
    at: Instant,
}

/// The mark of some slots.
#[derive(Clone, Debug)]
pub struct LowWater {
    mark: i64,
    /// Nothing visible was at or below this when last read.
    empty_up_to: i64,
    /// Known to be drawn.
    highest: i64,
    /// The oldest first.
    candidates: VecDeque<Candidate>,
    /// The mark of the last candidate that waits for nothing but a read.
    settled: Option<i64>,
    asked: Option<Instant>,
    sweep: Sweep,
}

/// From the mark downwards: what someone may still see was deleted last, and lies there.
#[derive(Clone, Copy, Debug)]
struct Sweep {
    /// Where its next part ends.
    up_to: i64,
    /// Ids of a part.
    size: i64,
    due: Instant,
}

impl Sweep {
    /// The one after a sweep that ended `now`.
    fn after(now: Instant) -> Self {
        Self { up_to: i64::MAX, size: FIRST_PART, due: now + SWEEP_EVERY }
    }

    /// The next part: ids above the first and up to the second.
    fn part_below(&self, mark: i64) -> (i64, i64) {
        let up_to = self.up_to.min(mark);
        (up_to.saturating_sub(self.size).max(0), up_to)
    }

    fn shrink(&mut self) {
        self.size = (self.size / 2).clamp(1, FIRST_PART);
    }
}

impl LowWater {
    /// Nothing is or may become visible up to `mark`, as far as is known.
    pub fn at(RowId(mark): RowId, now: Instant) -> Self {
        let candidates = VecDeque::new();
        Self { mark, empty_up_to: mark, highest: mark, candidates, settled: None, asked: None, sweep: Sweep::after(now) }
    }

    /// Read ids above this.
    pub fn mark(&self) -> RowId {
        RowId(self.mark)
    }

    /// Learns from a read above the mark: the first and the last id found, and the lowest held back.
    pub fn read(&mut self, first: Option<RowId>, last: Option<RowId>, held: Option<RowId>) {
        self.highest = self.highest.max(last.map_or(0, |id| id.0));
        let pending = [first, held].into_iter().flatten().map(|id| id.0).min();
        self.empty_up_to = pending.map_or(self.highest, |id| id - 1);
        let settled = self.settled.take();
        if self.empty_up_to < self.mark {
            self.mark = self.empty_up_to;
            self.candidates.clear();
        } else if let Some(settled) = settled {
            self.mark = self.mark.max(settled.min(self.empty_up_to));
        }
    }

    /// Where nothing should be, to be looked at now: ids above the first and up to the second.
    pub fn sweep(&self, now: Instant) -> Option<(RowId, RowId)> {
        let (above, up_to) = self.sweep.part_below(self.mark);
        (now >= self.sweep.due && up_to > 0).then_some((RowId(above), RowId(up_to)))
    }

    /// Learns from looking there: whether there was anything, and how long it took.
    pub fn swept(&mut self, found: bool, took: Duration, now: Instant) {
        if found {
            // Everything is read anew, in order.
            *self = Self::at(RowId(0), now);
            return;
        }
        let (above, _) = self.sweep.part_below(self.mark);
        if above == 0 {
            self.sweep = Sweep::after(now);
            return;
        }
        if took > PART_TAKES {
            self.sweep.shrink();
        } else if took < PART_TAKES / 4 {
            self.sweep.size = self.sweep.size.saturating_mul(2);
        }
        self.sweep.up_to = above;
        self.sweep.due = now + PART_EVERY;
    }

    /// Looking there failed, perhaps for being more than can be looked through: less next time.
    pub fn not_swept(&mut self) {
        self.sweep.shrink();
    }

    /// Whether to ask which transactions run.
    pub fn wants_horizon(&self, now: Instant) -> bool {
        let rises = self.empty_up_to > self.mark || !self.candidates.is_empty();
        let every = if rises { ASK_EVERY } else { ASK_AT_LEAST_EVERY };
        self.asked.is_none_or(|asked| now >= asked + every)
    }

    /// Learns what was asked after the last read.
    pub fn horizon(&mut self, Horizon { xmin, next, drawn }: Horizon, now: Instant) {
        if drawn < self.mark {
            // Another server than before, which lost the last ids and draws them again.
            *self = Self::at(RowId(0), now);
        }
        self.asked = Some(now);
        self.highest = self.highest.max(drawn);
        while let Some(oldest) = self.candidates.pop_front_if(|oldest| now >= oldest.at + LINGER && xmin >= oldest.next) {
            self.settled = Some(oldest.mark);
        }
        let newest = self.candidates.back().map(|newest| newest.mark).or(self.settled).unwrap_or(self.mark);
        if self.empty_up_to > newest && self.candidates.len() < MOST_CANDIDATES {
            self.candidates.push_back(Candidate { mark: self.empty_up_to, next, at: now });
        }
    }
}

#[cfg(test)]
#[path = "low_water_tests.rs"]
mod tests;
