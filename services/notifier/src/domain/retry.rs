//! What an answer means for a delivery, and when it is tried again (Standard Webhooks, "Deliverability").

use std::time::Duration;

/// How a delivery's attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An answer with this status; redirects are answers like any other, and not followed.
    Answered { status: u16, retry_after: Option<Duration> },
    /// None in time, or none at all.
    Unanswered,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Delivered,
    /// The endpoint is gone for good and wants nothing more.
    Gone,
    /// The endpoint asks to be left alone that long.
    Later(Duration),
    Failed,
    /// This delivery is refused for good; the endpoint takes others.
    Refused,
}

/// No endpoint is waited for longer than this.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

pub fn verdict(outcome: Outcome) -> Verdict {
    match outcome {
        Outcome::Answered { status: 200..=299, .. } => Verdict::Delivered,
        Outcome::Answered { status: 410, .. } => Verdict::Gone,
        Outcome::Answered { status: 429 | 502..=504, retry_after: Some(wait) } => Verdict::Later(wait.min(LONGEST_WAIT)),
        Outcome::Answered { .. } | Outcome::Unanswered => Verdict::Failed,
    }
}

/// Waits between attempts: exponential, with jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    pub first: Duration,
    pub longest: Duration,
}

impl Schedule {
    /// The wait after `attempts` of them: between half and all of `first * 4^(attempts - 1)`, `longest` at most.
    /// `random` is from 0 to 1 and decides where between.
    pub fn wait(&self, attempts: u32, random: f64) -> Duration {
        let factor = 4_u32.saturating_pow(attempts.saturating_sub(1));
        let ceiling = self.first.saturating_mul(factor).min(self.longest);
        ceiling.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_answer_has_its_consequence() {
        let answered = |status, seconds: Option<u64>| Outcome::Answered { status, retry_after: seconds.map(Duration::from_secs) };
        for (outcome, expected) in [
            (answered(200, None), Verdict::Delivered),
            (answered(204, Some(5)), Verdict::Delivered),
            (answered(301, None), Verdict::Failed),
            (answered(404, None), Verdict::Failed),
            (answered(410, None), Verdict::Gone),
            (answered(429, Some(7)), Verdict::Later(Duration::from_secs(7))),
            (answered(429, None), Verdict::Failed),
            (answered(503, Some(7)), Verdict::Later(Duration::from_secs(7))),
            (answered(503, Some(9_999_999)), Verdict::Later(LONGEST_WAIT)),
            (answered(500, Some(7)), Verdict::Failed),
            (Outcome::Unanswered, Verdict::Failed),
        ] {
            assert_eq!(verdict(outcome), expected, "{outcome:?}");
        }
    }

    proptest! {
        #[test]
        fn waits_grow_up_to_the_longest(attempts in 1..64_u32, random in 0.0..=1.0_f64) {
            let schedule = Schedule { first: Duration::from_secs(5), longest: Duration::from_hours(6) };
            let wait = schedule.wait(attempts, random);
            prop_assert!(wait >= schedule.first / 2 && wait <= schedule.longest);
            prop_assert!(schedule.wait(attempts + 1, random) >= wait);
        }
    }
}
