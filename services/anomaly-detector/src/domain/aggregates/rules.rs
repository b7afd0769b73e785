//! Which windows there are, and how long they may be corrected.

use std::time::Duration;

/// A window of `length` ends at every multiple of `every` since 1970: tumbling when both are the same, else sliding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowSpec {
    pub(super) length: i64,
    pub(super) every: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    pub(super) specs: Vec<WindowSpec>,
    pub(super) late_limit: i64,
    pub(super) pane: i64,
    pub(super) longest: i64,
}

/// More windows than this a pane does not keep revisions of.
const MOST: usize = 8;

impl WindowSpec {
    pub fn new(length: Duration, every: Duration) -> Self {
        Self { length: micros(length), every: micros(every) }
    }

    /// The first end after `at`.
    pub(super) fn end_after(self, at: i64) -> i64 {
        (at.div_euclid(self.every) + 1) * self.every
    }
}

impl Rules {
    /// What is wrong with the windows, otherwise.
    pub fn new(specs: Vec<WindowSpec>, late_limit: Duration) -> Result<Self, String> {
        if specs.is_empty() || specs.len() > MOST {
            return Err(format!("{} windows: there must be 1 to {MOST}", specs.len()));
        }
        for WindowSpec { length, every } in &specs {
            if *every < 1_000_000 || length % every != 0 || *length > 86_400_000_000 {
                return Err("a window's length must be a multiple of how often it ends, at least 1s and at most 1d".to_owned());
            }
        }
        let pane = specs.iter().fold(0, |pane, spec| gcd(pane, spec.every));
        let longest = specs.iter().map(|spec| spec.length).max().unwrap_or_default();
        Ok(Self { specs, late_limit: micros(late_limit), pane, longest })
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn a_pane_fits_every_window() {
        let rules = Rules::new(vec![WindowSpec::new(MINUTE * 15, MINUTE * 5), WindowSpec::new(MINUTE * 2, MINUTE * 2)], MINUTE).unwrap();
        assert_eq!((rules.pane, rules.longest), (60_000_000, 900_000_000));
    }

    #[test]
    fn windows_that_do_not_fit_are_refused() {
        for specs in [vec![], vec![WindowSpec::new(MINUTE, Duration::ZERO)], vec![WindowSpec::new(MINUTE * 15, MINUTE * 4)]] {
            assert!(Rules::new(specs, MINUTE).is_err());
        }
    }
}
