//! How often the series is sampled, and whether a reading comes after a gap.
//!
//! Readings are taken in the order given. A clock that stands still or goes back is no gap and teaches nothing.

use serde::{Deserialize, Serialize};

/// A pause this many times longer than usual is a gap.
const GAP: f64 = 12.0;
const TRUST_AFTER: u8 = 8;
const STEP: f64 = 1.05;
const WEEK_MICROS: f64 = 7.0 * 86_400e6;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cadence {
    last_micros: Option<i64>,
    usual_micros: f64,
    seen: u8,
}

impl Cadence {
    /// True when the reading comes after a gap.
    pub(crate) fn push(&mut self, at_micros: i64) -> bool {
        let interval = self.last_micros.map_or(0.0, |last| at_micros.saturating_sub(last) as f64);
        self.last_micros = Some(at_micros);
        if interval <= 0.0 {
            return false;
        }
        self.seen = self.seen.saturating_add(1);
        let gap = self.seen > TRUST_AFTER && interval > GAP * self.usual_micros;
        if self.usual_micros <= 0.0 {
            self.usual_micros = interval;
        } else if interval > self.usual_micros * STEP {
            // Steps of one size up and down settle on the median.
            self.usual_micros *= STEP;
        } else if interval < self.usual_micros / STEP {
            self.usual_micros /= STEP;
        }
        gap
    }

    /// Readings a week at the usual interval; one a second until an interval is known.
    pub(crate) fn readings_per_week(&self) -> f64 {
        if self.usual_micros > 0.0 { WEEK_MICROS / self.usual_micros } else { WEEK_MICROS / 1e6 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000;

    #[test]
    fn a_long_pause_is_a_gap_and_jitter_is_not() {
        let mut cadence = Cadence::default();
        let mut at = 0;
        for i in 0..200 {
            at += MINUTE + (i % 7) * 3_000_000;
            assert!(!cadence.push(at));
        }
        assert!(!cadence.push(at + 3 * MINUTE));
        assert!(cadence.push(at + 60 * MINUTE));
        assert!((cadence.readings_per_week() / 10_080.0 - 1.0).abs() < 0.25);
    }

    #[test]
    fn a_clock_that_goes_back_is_no_gap() {
        let mut cadence = Cadence::default();
        (0..20).for_each(|i| assert!(!cadence.push(i * MINUTE)));
        assert!(!cadence.push(-50_000 * MINUTE));
        assert!(!cadence.push(i64::MIN));
        cadence.push(i64::MAX);
        assert!(cadence.readings_per_week().is_finite());
    }
}
