//! From which id on to read.
//!
//! Deleted rows stay in the index for as long as any transaction may see them; a reader that starts at the front walks
//! over all of them, again and again. Guarantees: nothing that is or may become visible is below the mark. Ids become
//! visible out of order, so the mark rises past an id only with a read after the end of every transaction that ran when the
//! id was read, and a moment later, for writers that draw ids before they have a number. Should a row appear below it all
//! the same, the sweep finds it.

use std::time::{Duration, Instant};

use super::RowId;

/// For writers that draw an id before they have a transaction number: Postgres gives them one within the same statement.
const LINGER: Duration = Duration::from_millis(250);
/// How often to read from the very front.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

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
    next_sweep: Instant,
}

impl LowWater {
    /// Knows nothing: the first read starts at the front.
    pub fn new(now: Instant) -> Self {
        Self { mark: 0, empty_up_to: 0, highest: 0, candidate: None, next_sweep: now + SWEEP_EVERY }
    }

    /// Read ids above this.
    pub fn read_above(&self, now: Instant) -> RowId {
        RowId(if now >= self.next_sweep { 0 } else { self.mark })
    }

    /// Learns from a read above `read_above`: the first and the last id found, the lowest held back, and whether the read
    /// came to its end.
    pub fn read(&mut self, read_above: RowId, first: Option<RowId>, last: Option<RowId>, held: Option<RowId>, whole: bool, now: Instant) {
        self.highest = self.highest.max(last.map_or(0, |id| id.0));
        let pending = [first, held].into_iter().flatten().map(|id| id.0).min();
        self.empty_up_to = pending.map_or(self.highest, |id| id - 1);
        if self.empty_up_to < self.mark {
            self.mark = self.empty_up_to;
            self.candidate = None;
        } else if let Some(candidate) = self.candidate.take_if(|candidate| candidate.settled) {
            self.mark = self.mark.max(candidate.mark.min(self.empty_up_to));
        }
        if read_above.0 == 0 && whole {
            self.next_sweep = now + SWEEP_EVERY;
        }
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
