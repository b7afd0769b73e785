//! Aggregates that wait because one of their rows failed.
//!
//! Guarantees: until the failed row is published or dead, nothing of its aggregate is sent. Others never wait.

use std::collections::HashMap;
use std::time::Instant;

use super::{Aggregate, Backoff, RowId};

#[derive(Clone, Copy, Debug)]
struct Hold {
    row: RowId,
    failures: u32,
    rejections: u32,
    until: Instant,
}

/// Why a row failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Kafka could not take it now.
    Unavailable,
    /// Kafka would not take it. Sent among others it may have been rejected for their sake: a broker rejects record
    /// batches, not records.
    Rejected { alone: bool },
}

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStep {
    Retry,
    /// The row was rejected as often as it may be, the last time alone.
    GiveUp {
        attempts: u32,
    },
}

/// Every aggregate that is held.
#[derive(Debug)]
pub struct Holds {
    attempts: u32,
    backoff: Backoff,
    held: HashMap<Aggregate, Hold>,
}

impl Holds {
    /// A row may be rejected `attempts` times.
    pub fn new(attempts: u32, backoff: Backoff) -> Self {
        Self { attempts, backoff, held: HashMap::new() }
    }

    /// `row` of `aggregate` failed; `jitter` is random in 0..1.
    pub fn failed(&mut self, aggregate: &Aggregate, row: RowId, fault: Fault, now: Instant, jitter: f64) -> NextStep {
        let fresh = Hold { row, failures: 0, rejections: 0, until: now };
        let hold = self.held.entry(aggregate.clone()).or_insert(fresh);
        if hold.row != row {
            *hold = fresh;
        }
        hold.failures += 1;
        hold.rejections += u32::from(fault != Fault::Unavailable);
        hold.until = now + self.backoff.delay(hold.failures, jitter);
        match fault {
            Fault::Rejected { alone: true } if hold.rejections >= self.attempts => NextStep::GiveUp { attempts: hold.rejections },
            _ => NextStep::Retry,
        }
    }

    /// The aggregate goes on: its row was published, or is dead.
    pub fn lift(&mut self, aggregate: &Aggregate) {
        if !self.held.is_empty() {
            self.held.remove(aggregate);
        }
    }

    /// Held, due or not: only its first row may be tried.
    pub fn holds(&self, aggregate: &Aggregate) -> bool {
        self.held.contains_key(aggregate)
    }

    /// Held because its first row was rejected: that row is to be tried alone.
    pub fn rejected(&self, aggregate: &Aggregate) -> bool {
        self.held.get(aggregate).is_some_and(|hold| hold.rejections > 0)
    }

    /// Those whose next try is not due.
    pub fn waiting(&self, now: Instant) -> Vec<&Aggregate> {
        self.held.iter().filter(|(_, hold)| now < hold.until).map(|(aggregate, _)| aggregate).collect()
    }

    /// The lowest row that is held back.
    pub fn lowest(&self) -> Option<RowId> {
        self.held.values().map(|hold| hold.row).min()
    }

    pub fn len(&self) -> usize {
        self.held.len()
    }

    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Another relay may have their slots by now.
    pub fn forget(&mut self) {
        self.held.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn aggregate(id: &str) -> Aggregate {
        Aggregate { kind: "notification".into(), id: id.into() }
    }

    fn holds() -> Holds {
        Holds::new(3, Backoff { first: Duration::from_secs(1), longest: Duration::from_mins(1) })
    }

    #[test]
    fn a_held_aggregate_waits_longer_each_time() {
        let (mut holds, start) = (holds(), Instant::now());
        assert_eq!(holds.failed(&aggregate("a"), RowId(1), Fault::Unavailable, start, 1.0), NextStep::Retry);
        assert_eq!(holds.waiting(start), [&aggregate("a")]);
        assert!(holds.waiting(start + Duration::from_secs(1)).is_empty());
        assert_eq!(holds.failed(&aggregate("a"), RowId(1), Fault::Unavailable, start, 1.0), NextStep::Retry);
        assert_eq!(holds.waiting(start + Duration::from_secs(1)), [&aggregate("a")]);
        assert!(!holds.holds(&aggregate("b")));
        holds.lift(&aggregate("a"));
        assert!(holds.is_empty());
    }

    #[test]
    fn only_rejections_of_the_same_row_make_it_give_up() {
        let (mut holds, now) = (holds(), Instant::now());
        let (among, alone) = (Fault::Rejected { alone: false }, Fault::Rejected { alone: true });
        for fault in [among, Fault::Unavailable, Fault::Unavailable, alone] {
            assert_eq!(holds.failed(&aggregate("a"), RowId(1), fault, now, 0.0), NextStep::Retry);
        }
        assert_eq!(holds.failed(&aggregate("a"), RowId(1), alone, now, 0.0), NextStep::GiveUp { attempts: 3 });
        assert_eq!(holds.failed(&aggregate("a"), RowId(2), alone, now, 0.0), NextStep::Retry);
    }

    #[test]
    fn no_row_is_given_up_for_what_others_may_have_caused() {
        let (mut holds, now) = (holds(), Instant::now());
        for _ in 0..10 {
            let step = holds.failed(&aggregate("a"), RowId(1), Fault::Rejected { alone: false }, now, 0.0);
            assert_eq!(step, NextStep::Retry);
        }
        assert!(holds.rejected(&aggregate("a")));
    }
}
