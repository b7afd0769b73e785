//! The slots this relay holds, and until when it may trust that it does.
//!
//! A lease is trusted for its duration counted from *before* it was asked for, on this process's clock: the database
//! counts from later, so trust always ends first, whatever the two clocks say.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Epoch, Slot};

/// A slot held, with the epoch that fences its former owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    pub slot: Slot,
    pub epoch: Epoch,
}

/// What this relay holds.
#[derive(Clone, Debug, Default)]
pub struct Leases {
    held: BTreeMap<Slot, (Epoch, Instant)>,
}

impl Leases {
    /// Adds what was claimed by a question sent at `asked`.
    pub fn claimed(&mut self, claimed: &[Lease], asked: Instant, duration: Duration) {
        self.held.extend(claimed.iter().map(|lease| (lease.slot, (lease.epoch, asked + duration))));
    }

    /// The database's answer to a renewal is all that is held; returns the slots lost since.
    pub fn renewed(&mut self, renewed: &[Lease], asked: Instant, duration: Duration) -> Vec<Slot> {
        let before = std::mem::take(&mut self.held);
        self.claimed(renewed, asked, duration);
        let kept = |slot: &Slot, epoch: Epoch| self.held.get(slot).is_some_and(|(now, _)| *now == epoch);
        before.into_iter().filter(|(slot, (epoch, _))| !kept(slot, *epoch)).map(|(slot, _)| slot).collect()
    }

    pub fn released(&mut self, slots: &[Slot]) {
        self.held.retain(|slot, _| !slots.contains(slot));
    }

    /// What can still be trusted for `needed` from `now` on.
    pub fn trusted(&self, now: Instant, needed: Duration) -> Vec<Lease> {
        let trusted = self.held.iter().filter(|(_, (_, until))| now + needed < *until);
        trusted.map(|(&slot, &(epoch, _))| Lease { slot, epoch }).collect()
    }

    /// Until when all of `leases` are held; `None` when one of them is not any more.
    pub fn until(&self, leases: &[Lease]) -> Option<Instant> {
        let until = |lease: &Lease| self.held.get(&lease.slot).filter(|(epoch, _)| *epoch == lease.epoch).map(|(_, until)| *until);
        leases.iter().map(until).collect::<Option<Vec<_>>>()?.into_iter().min()
    }

    pub fn slots(&self) -> Vec<Slot> {
        self.held.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn lease(slot: i16, epoch: i64) -> Lease {
        Lease { slot: Slot(slot), epoch: Epoch(epoch) }
    }

    #[test]
    fn trust_ends_before_the_lease_does() {
        let asked = Instant::now();
        let mut leases = Leases::default();
        leases.claimed(&[lease(1, 7)], asked, 6 * SECOND);
        assert_eq!(leases.trusted(asked + SECOND, 4 * SECOND), [lease(1, 7)]);
        assert_eq!(leases.trusted(asked + 2 * SECOND, 4 * SECOND), []);
    }

    #[test]
    fn leases_held_together_end_with_the_first_that_does() {
        let asked = Instant::now();
        let mut leases = Leases::default();
        leases.claimed(&[lease(1, 7)], asked, 6 * SECOND);
        leases.claimed(&[lease(2, 3)], asked, 5 * SECOND);
        assert_eq!(leases.until(&[lease(1, 7), lease(2, 3)]), Some(asked + 5 * SECOND));
        assert_eq!(leases.until(&[lease(1, 7), lease(2, 2)]), None, "another epoch is another lease");
    }

    #[test]
    fn a_renewal_tells_what_was_lost() {
        let asked = Instant::now();
        let mut leases = Leases::default();
        leases.claimed(&[lease(1, 7), lease(2, 3), lease(3, 1)], asked, SECOND);
        let lost = leases.renewed(&[lease(1, 7), lease(3, 2)], asked + SECOND, 6 * SECOND);
        assert_eq!(lost, [Slot(2), Slot(3)]);
        assert_eq!(leases.trusted(asked + SECOND, SECOND), [lease(1, 7), lease(3, 2)]);
    }
}
