//! The value a reading was expected to have, and a band it should have stayed in: for people and plots, not for the score.
//!
//! Two candidates, both levels rather than one-step predictions, so that a lasting shift stays visible: the median of the
//! last 48 readings and what is usual at this time of day. The one that erred less lately is used.

use serde::{Deserialize, Serialize};

use super::moments::Average;

const HORIZON: u32 = 288;
/// Mean absolute errors to each side: about four standard deviations of a normal error.
const WIDTH: f64 = 5.0;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Expectation {
    median_error: Average,
    daily_error: Average,
}

impl Expectation {
    /// Expected value and half the band's width for a reading, from what came before it; then learns from the reading.
    pub(crate) fn push(&mut self, value: f64, median: f64, daily: Option<f64>) -> (f64, f64) {
        let daily = daily.map(|level| (level, &mut self.daily_error));
        let median = (median, &mut self.median_error);
        let (expected, error) = match &daily {
            Some((level, error)) if error.count() >= 48 && error.mean < median.1.mean => (*level, error.mean),
            _ => (median.0, median.1.mean),
        };
        for (level, error) in daily.into_iter().chain([median]) {
            let off = (value - level).abs();
            // A reading far outside says little about the width of the band.
            let bounded = if error.count() >= 48 { off.min(WIDTH * error.mean + 0.05 * off) } else { off };
            error.push(bounded, HORIZON);
        }
        (expected, WIDTH * error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_candidate_is_used_and_the_band_holds_nearly_all_readings() {
        let mut expectation = Expectation::default();
        let mut outside = 0;
        for i in 0..2_000_u32 {
            let level = f64::from(i % 100);
            let value = level + f64::from(i.wrapping_mul(2_654_435_761) >> 16) / 65_536.0 - 0.5;
            let (expected, half) = expectation.push(value, 50.0, Some(level));
            if i > 200 {
                assert!((expected - level).abs() < 1e-9);
                outside += u32::from((value - expected).abs() > half);
            }
        }
        assert_eq!(outside, 0);
    }
}
