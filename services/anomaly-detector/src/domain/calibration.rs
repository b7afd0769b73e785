//! From the network's logit to a score that means the same for every device: 0.8 is where an anomaly opens.
//!
//! A raw logit's level differs from one kind of series to the next. So the logit that scores 0.8 starts where training put
//! it, and is raised by as much as this key's own 99 % quantile of logits lies above the usual one: a series that always
//! looks a little odd has to look odder. It is never lowered: a dull series earns no alarms. A series sampled faster than
//! every five minutes has more chances a week, and has to look odder for that too.

use serde::{Deserialize, Serialize};

const TAIL: f32 = 0.01;
/// The quantile follows by steps this large in the long run, larger at first.
const STEP: f32 = 0.015;
const LN_FOUR: f32 = 1.386_294_4;
const EVERY_FIVE_MINUTES: f64 = 2_016.0;
/// Logits per e-fold of readings a week, about half of what a fault-free tail falls by: a real spike must still pass.
const FASTER: f64 = 0.35;

/// What training found out about logits; part of the model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Prior {
    /// The 99 % quantile of the logits of fault-free readings.
    pub usual_quantile: f32,
    /// The logit that scores 0.8 on a usual series sampled every five minutes.
    pub open_logit: f32,
}

impl Prior {
    pub fn is_usable(&self) -> bool {
        self.usual_quantile.is_finite() && self.open_logit.is_finite()
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// This key's quantile above the usual one, and how many logits it has seen.
    above_usual: f32,
    count: u32,
}

impl Calibration {
    /// The score of a logit in the light of those before it; then the logit joins them.
    pub(crate) fn score(&mut self, logit: f32, readings_per_week: f64, prior: Prior) -> f32 {
        let open = self.open_logit(readings_per_week, prior);
        self.learn(logit - prior.usual_quantile);
        1.0 / (1.0 + (open - logit - LN_FOUR).exp())
    }

    /// The logit that scores 0.8 now.
    pub(crate) fn open_logit(self, readings_per_week: f64, prior: Prior) -> f32 {
        let haste = FASTER * (readings_per_week / EVERY_FIVE_MINUTES).max(1.0).ln();
        prior.open_logit + self.above_usual.max(0.0) + haste as f32
    }

    fn learn(&mut self, above_usual: f32) {
        let early = 3.0 / (self.count as f32 + 40.0);
        let step = STEP.max(early);
        let exceeded = if above_usual > self.above_usual { 1.0 } else { 0.0 };
        self.above_usual += step * (exceeded - TAIL);
        self.count = self.count.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIOR: Prior = Prior { usual_quantile: 0.5, open_logit: 7.0 };
    const SLOW: f64 = 1_000.0;

    #[test]
    fn the_opening_logit_scores_four_fifths() {
        let score = Calibration::default().score(7.0, SLOW, PRIOR);
        assert!((score - 0.8).abs() < 1e-6, "{score}");
    }

    #[test]
    fn a_series_that_always_looks_odd_has_to_look_odder() {
        let mut odd = Calibration::default();
        for i in 0..20_000_u32 {
            odd.score(if i % 20 == 0 { 5.0 } else { -3.0 }, SLOW, PRIOR);
        }
        assert!((odd.above_usual - 4.5).abs() < 0.3, "{odd:?}");
        assert!(odd.score(9.0, SLOW, PRIOR) < 0.5);
        assert!(odd.score(13.0, SLOW, PRIOR) > 0.8);
    }

    #[test]
    fn a_dull_series_earns_no_alarms() {
        let mut dull = Calibration::default();
        (0..20_000).for_each(|_| {
            dull.score(-10.0, SLOW, PRIOR);
        });
        assert!(dull.score(6.9, SLOW, PRIOR) < 0.8);
        assert!(dull.score(7.1, SLOW, PRIOR) > 0.8);
    }

    #[test]
    fn a_series_sampled_every_second_has_to_look_odder() {
        let mut fast = Calibration::default();
        assert!(fast.score(7.5, 604_800.0, PRIOR) < 0.8);
        assert!(fast.score(9.5, 604_800.0, PRIOR) > 0.8);
    }
}
