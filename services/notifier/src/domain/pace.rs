//! How often a receiver is told: so many deliveries a minute, and one summary of what was held back.

use std::time::Duration;

use events::Timestamp;

pub const WINDOW: Duration = Duration::from_mins(1);

/// Where a receiver stands in its minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// `None`: nothing was ever sent.
    pub began_at: Option<Timestamp>,
    pub sent: u32,
    /// Announcements held back for the summary.
    pub held: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    Send,
    /// It goes into the summary.
    Hold,
}

impl Pace {
    fn is_over(&self, now: Timestamp) -> bool {
        self.began_at.is_none_or(|began_at| now >= began_at.saturating_add(WINDOW))
    }

    /// Asks for one more delivery. As long as a summary is owed, what is new joins it.
    pub fn admit(&mut self, now: Timestamp, limit: u32) -> Admission {
        if self.held == 0 && self.is_over(now) {
            *self = Self { began_at: Some(now), sent: 0, held: 0 };
        }
        if self.held == 0 && self.sent < limit {
            self.sent += 1;
            return Admission::Send;
        }
        self.held += 1;
        Admission::Hold
    }

    /// Takes the summary, when it is due; it is the first delivery of the next minute.
    pub fn take_summary(&mut self, now: Timestamp) -> bool {
        let due = self.held > 0 && self.is_over(now);
        if due {
            *self = Self { began_at: Some(now), sent: 1, held: 0 };
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn ten_a_minute_then_one_summary() {
        let mut pace = Pace::default();
        let admitted = (0..25).filter(|second| pace.admit(at(*second), 10) == Admission::Send).count();
        assert_eq!((admitted, pace.held), (10, 15));
        assert!(!pace.take_summary(at(59)));
        assert!(pace.take_summary(at(60)));
        assert!(!pace.take_summary(at(60)));
        // The summary is one of the next ten.
        assert_eq!((0..20).filter(|second| pace.admit(at(61 + second), 10) == Admission::Send).count(), 9);
    }

    proptest! {
        #[test]
        fn no_minute_of_the_clock_has_more_than_two_windows_full(gaps in prop::collection::vec(0..20_i64, 1..400)) {
            let mut pace = Pace::default();
            let (mut now, mut sent, mut owed) = (0, Vec::new(), 0);
            for gap in gaps {
                now += gap;
                if pace.take_summary(at(now)) {
                    sent.push(now);
                    owed = 0;
                }
                match pace.admit(at(now), 10) {
                    Admission::Send => sent.push(now),
                    Admission::Hold => owed += 1,
                }
                prop_assert_eq!(pace.held, owed);
            }
            for start in &sent {
                prop_assert!(sent.iter().filter(|at| (*start..start + 60).contains(*at)).count() <= 20);
            }
        }
    }
}
