//! From the network's logit to a score that means the same for every device: 0.8 is where an anomaly opens.
//!
//! A raw logit's level differs from one kind of series to the next. So the evidence of a reading is its logit and how rare
//! such a one is of this very key: -ln of the share of its own logits, over about four thousand readings, that were as
//! high. Many high ones make a high one worth less; a key little is known of has to look odder. A series sampled faster
//! than every five minutes has more chances a week, and has to look odder for that too.

use serde::{Deserialize, Serialize};

/// Logits are counted in bins of `WIDTH` from `LOWEST` on; beyond either end the outermost bin counts them.
const BINS: usize = 96;
const LOWEST: f32 = -12.0;
const WIDTH: f32 = 0.25;
/// Readings after which a count has faded to a third.
const HORIZON: f32 = 4_000.0;
const LN_FOUR: f32 = 1.386_294_4;
const EVERY_FIVE_MINUTES: f64 = 2_016.0;
/// Evidence per e-fold of readings a week; what is left of 1 the key's own rarity brings.
const FASTER: f64 = 0.5;

/// What training found out about evidence; part of the model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Prior {
    /// The evidence that scores 0.8 on a series sampled every five minutes.
    pub open_evidence: f32,
}

impl Prior {
    pub fn is_usable(&self) -> bool {
        self.open_evidence.is_finite()
    }
}

/// The logits of a key so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    counts: Vec<f32>,
    total: f32,
}

/// A logit in the light of those before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgement {
    pub score: f32,
    /// The share of this key's own logits that were as high, at least one in as many as were seen.
    pub as_high: f32,
}

impl Calibration {
    /// Judges a logit by those before it; then it joins them.
    pub(crate) fn judge(&mut self, logit: f32, readings_per_week: f64, prior: Prior) -> Judgement {
        let as_high = self.as_high(logit);
        let haste = FASTER * (readings_per_week / EVERY_FIVE_MINUTES).max(1.0).ln();
        let evidence = logit - as_high.ln();
        self.learn(logit);
        let score = 1.0 / (1.0 + (prior.open_evidence + haste as f32 - evidence - LN_FOUR).exp());
        Judgement { score, as_high }
    }

    fn as_high(&self, logit: f32) -> f32 {
        let (bin, above) = place(logit);
        let within = self.counts.get(bin).map_or(0.0, |count| count * (1.0 - above));
        let beyond: f32 = self.counts.get(bin + 1..).unwrap_or_default().iter().sum();
        (within + beyond + 1.0) / (self.total + 2.0)
    }

    fn learn(&mut self, logit: f32) {
        self.counts.resize(BINS, 0.0);
        if self.total >= HORIZON {
            let kept = 1.0 - 1.0 / HORIZON;
            self.counts.iter_mut().for_each(|count| *count *= kept);
            self.total *= kept;
        }
        self.counts[place(logit).0] += 1.0;
        self.total += 1.0;
    }
}

/// The bin of a logit, and how far into it it lies, 0 to 1.
fn place(logit: f32) -> (usize, f32) {
    let at = (logit - LOWEST) / WIDTH;
    let bin = at.floor().clamp(0.0, (BINS - 1) as f32);
    (bin as usize, (at - bin).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIOR: Prior = Prior { open_evidence: 8.0 };
    const SLOW: f64 = 1_000.0;

    fn after(count: u32, logit: impl Fn(u32) -> f32) -> Calibration {
        let mut calibration = Calibration::default();
        (0..count).for_each(|i| {
            calibration.judge(logit(i), SLOW, PRIOR);
        });
        calibration
    }

    fn score(calibration: &Calibration, logit: f32, readings_per_week: f64) -> f32 {
        calibration.clone().judge(logit, readings_per_week, PRIOR).score
    }

    #[test]
    fn the_opening_evidence_scores_four_fifths() {
        // Of a key nothing is known of, half are taken to be as high.
        let score = Calibration::default().judge(8.0 - 2.0_f32.ln(), SLOW, PRIOR).score;
        assert!((score - 0.8).abs() < 1e-6, "{score}");
    }

    #[test]
    fn a_series_that_often_looks_odd_has_to_look_odder() {
        let odd = after(20_000, |i| if i % 20 == 0 { 4.0 } else { -6.0 });
        let calm = after(20_000, |_| -6.0);
        assert!(score(&calm, 4.0, SLOW) > 0.95, "{}", score(&calm, 4.0, SLOW));
        assert!(score(&odd, 4.0, SLOW) < 0.7, "{}", score(&odd, 4.0, SLOW));
        assert!(score(&odd, 5.5, SLOW) > 0.95, "{}", score(&odd, 5.5, SLOW));
    }

    #[test]
    fn a_series_little_is_known_of_has_to_look_odder() {
        let (new, known) = (after(70, |_| -6.0), after(4_000, |_| -6.0));
        assert!(score(&new, 1.0, SLOW) < 0.3 && score(&known, 1.0, SLOW) > 0.8);
    }

    #[test]
    fn what_was_usual_long_ago_does_not_count_for_ever() {
        let changed = after(60_000, |i| if i < 10_000 { 4.0 } else { -6.0 });
        assert!(changed.as_high(4.0) < 1e-3, "{}", changed.as_high(4.0));
    }

    #[test]
    fn a_series_sampled_every_second_has_to_look_odder() {
        let known = after(4_000, |_| -6.0);
        assert!(score(&known, 1.0, 2_016.0) > 0.8);
        assert!(score(&known, 1.0, 604_800.0) < 0.5);
    }

    #[test]
    fn any_finite_logit_has_a_score() {
        let known = after(4_000, |i| (i % 7) as f32 - 6.0);
        for logit in [-1e3, -12.0, 12.0, 1e3] {
            let score = score(&known, logit, SLOW);
            assert!((0.0..=1.0).contains(&score), "{logit}: {score}");
        }
    }
}
