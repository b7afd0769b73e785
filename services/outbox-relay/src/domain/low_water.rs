//! From which id on to read.
//!
//! Deleted rows stay in the index for as long as any transaction may see them; a reader that starts at the front walks
//! over all of them, again and again. Guarantees: nothing that is or may become visible is below the mark. Ids become
//! visible out of order, so the mark rises past an id only with a read after the end of every transaction that ran when the
//! id was read, and a moment later, for writers that draw ids before they have a number. Should a row appear below it all
//! the same, the sweep finds it: it looks below the mark a part at a time, each as large as is soon looked through.

use std::time::{Duration, Instant};

use super::RowId;

/// For writers that draw an id before they have a transaction number: Postgres gives them one within the same statement.
const LINGER: Duration = Duration::from_millis(250);
/// From one sweep's end to the next one's beginning.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// From one part of a sweep to the next.
const PART_EVERY: Duration = Duration::from_secs(1);
/// What a part may take: whatever became visible meanwhile waits for it.
const PART_TAKES: Duration = Duration::from_millis(10);
/// Ids of the first part.
const FIRST_PART: i64 = 10_000;

#[derive(Clone, Copy, Debug)]
struct Candidate {
    mark: i64,
    /// Transactions from this number on had not begun to write when `mark` was read.
    xmax: i64,
    at: Instant,
    /// They all have ended: the next read sees whatever they left.
    settled: bool,
}

/// The mark of some slots.
#[derive(Clone, Debug)]
pub struct LowWater {
    mark: i64,
    /// Nothing visible was at or below this when last read.
    empty_up_to: i64,
    highest: i64,
    candidate: Option<Candidate>,
    sweep: Sweep,
}

#[derive(Clone, Copy, Debug)]
struct Sweep {
    /// Where its next part begins.
    above: i64,
    /// Ids of a part.
    part: i64,
    due: Instant,
}

impl LowWater {
    /// Knows nothing: the first read starts at the front.
    pub fn new(now: Instant) -> Self {
        let sweep = Sweep { above: 0, part: FIRST_PART, due: now + SWEEP_EVERY };
        Self { mark: 0, empty_up_to: 0, highest: 0, candidate: None, sweep }
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
        if self.empty_up_to < self.mark {
            self.mark = self.empty_up_to;
            self.candidate = None;
        } else if let Some(candidate) = self.candidate.take_if(|candidate| candidate.settled) {
            self.mark = self.mark.max(candidate.mark.min(self.empty_up_to));
        }
    }

    /// Where nothing should be, to be looked at now: ids above the first and up to the second.
    pub fn sweep(&self, now: Instant) -> Option<(RowId, RowId)> {
        let Sweep { above, due, .. } = self.sweep;
        (now >= due && self.mark > 0).then(|| (RowId(above), RowId(self.part_ends())))
    }

    /// Learns from looking there: whether there was anything, and how long it took.
    pub fn swept(&mut self, found: bool, took: Duration, now: Instant) {
        if found {
            // Everything is read anew, in order.
            *self = Self::new(now);
            return;
        }
        let end = self.part_ends();
        let part = self.sweep.part;
        self.sweep.part = match took {
            long if long > PART_TAKES => (part / 2).max(1),
            short if short < PART_TAKES / 4 => part.saturating_mul(2),
            _ => part,
        };
        (self.sweep.above, self.sweep.due) = if end >= self.mark { (0, now + SWEEP_EVERY) } else { (end, now + PART_EVERY) };
    }

    fn part_ends(&self) -> i64 {
        self.sweep.above.saturating_add(self.sweep.part).min(self.mark)
    }

    /// Whether to ask which transactions run.
    pub fn wants_horizon(&self, now: Instant) -> bool {
        match &self.candidate {
            None => self.empty_up_to > self.mark,
            Some(candidate) => !candidate.settled && now >= candidate.at + LINGER,
        }
    }

    /// `xmin` and `xmax` of a snapshot taken after the last read.
    pub fn horizon(&mut self, xmin: i64, xmax: i64, now: Instant) {
        match &mut self.candidate {
            Some(candidate) if xmin >= candidate.xmax => candidate.settled = true,
            // The one transaction that holds the mark back may run for hours: no need to ask at every turn.
            Some(candidate) => candidate.at = now,
            None => self.candidate = Some(Candidate { mark: self.empty_up_to, xmax, at: now, settled: false }),
        }
    }
}

#[cfg(test)]
#[path = "low_water_tests.rs"]
mod tests;
