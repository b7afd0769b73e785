//! Spares an endpoint that keeps failing: no attempts for a while, then one that finds out, then slowly more.

use std::time::Duration;

use events::Timestamp;

/// Failures in a row that open it.
pub const THRESHOLD: u32 = 5;
const FIRST_REST: Duration = Duration::from_secs(5);
const LONGEST_REST: Duration = Duration::from_mins(5);

/// One endpoint's breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    /// In a row.
    pub failures: u32,
    /// No attempts before.
    pub open_until: Option<Timestamp>,
    /// Attempts at the same time while it recovers.
    recovered: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Closed,
    Open,
    HalfOpen,
}

impl State {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

impl Breaker {
    /// As it was kept; one that has failed starts slowly.
    pub fn new(failures: u32, open_until: Option<Timestamp>) -> Self {
        Self { failures, open_until, recovered: if failures == 0 { u32::MAX } else { 1 } }
    }

    pub fn state(&self, now: Timestamp) -> State {
        match self.open_until {
            Some(until) if now < until => State::Open,
            _ if self.failures >= THRESHOLD => State::HalfOpen,
            _ => State::Closed,
        }
    }

    /// Attempts that may be under way at the same time, `concurrency` at most.
    pub fn allowed(&self, now: Timestamp, concurrency: u32) -> u32 {
        match self.state(now) {
            State::Open => 0,
            State::HalfOpen => 1,
            State::Closed => self.recovered.min(concurrency),
        }
    }

    pub fn succeeded(&mut self) {
        let paced = if self.failures >= THRESHOLD { 1 } else { self.recovered.saturating_mul(2) };
        *self = Self { failures: 0, open_until: None, recovered: paced };
    }

    pub fn failed(&mut self, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= THRESHOLD {
            let rest = FIRST_REST.saturating_mul(2_u32.saturating_pow(self.failures - THRESHOLD)).min(LONGEST_REST);
            self.rest(now, rest);
        }
    }

    /// The endpoint asks to be left alone.
    pub fn rest(&mut self, now: Timestamp, rest: Duration) {
        self.open_until = Some(now.saturating_add(rest)).max(self.open_until);
        self.recovered = 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_lets_one_find_out() {
        let mut breaker = Breaker::new(0, None);
        for _ in 0..4 {
            breaker.failed(at(0));
        }
        assert_eq!((breaker.state(at(0)), breaker.allowed(at(0), 8)), (State::Closed, 8));
        breaker.failed(at(0));
        assert_eq!((breaker.state(at(4)), breaker.allowed(at(4), 8)), (State::Open, 0));
        assert_eq!((breaker.state(at(5)), breaker.allowed(at(5), 8)), (State::HalfOpen, 1));
        breaker.failed(at(5));
        assert_eq!((breaker.state(at(14)), breaker.state(at(15))), (State::Open, State::HalfOpen));
    }

    #[test]
    fn it_recovers_at_a_growing_pace() {
        let mut breaker = Breaker::new(7, None);
        let mut allowed = Vec::new();
        for _ in 0..5 {
            allowed.push(breaker.allowed(at(100), 8));
            breaker.succeeded();
        }
        assert_eq!(allowed, [1, 1, 2, 4, 8]);
        assert_eq!(breaker.state(at(100)), State::Closed);
    }

    #[test]
    fn a_success_in_between_begins_the_count_again() {
        let mut breaker = Breaker::new(4, None);
        breaker.succeeded();
        breaker.failed(at(0));
        assert_eq!(breaker.state(at(0)), State::Closed);
    }

    #[test]
    fn rests_do_not_grow_without_bound() {
        let mut breaker = Breaker::new(60, None);
        breaker.failed(at(0));
        assert_eq!(breaker.open_until, Some(at(300)));
    }
}
