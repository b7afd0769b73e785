//! From the network's logit to a score that means the same for every device: 0.8 is where an anomaly opens.
//!
//! A raw logit's level differs from one kind of series to the next. So the evidence of a reading is its logit and how rare
//! such a one is of this very key: -ln of the share of its own logits, over the last three to six thousand, that were as
//! high. Many high ones make a high one worth less; a key little is known of has to look odder. What the network makes of
//! a feature it has from other series; so the same is added for a few features the model names, its signals, each by its
//! weight: what this key never did counts, also where others do it every day. A series sampled faster than every five
//! minutes has more chances a week, and has to look odder for that too.

use serde::{Deserialize, Serialize};

use super::{
    features::{FEATURES, Row},
    rarity::Scale,
};

const LOGITS: Scale = Scale { lowest: -12.0, width: 0.25, bins: 96 };
/// Features are squashed: five is a hundred and fifty deviations.
const SIGNALS: Scale = Scale { lowest: -1.0, width: 0.125, bins: 48 };
/// A model may name so many.
pub const MOST_SIGNALS: usize = 4;
const LN_FOUR: f32 = 1.386_294_4;
const EVERY_FIVE_MINUTES: f64 = 2_016.0;
/// Evidence per e-fold of readings a week: with one, a healthy fleet read every minute opens a little more often.
const FASTER: f64 = 1.25;

/// What training found out about evidence; part of the model.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Prior {
    /// The evidence that scores 0.8 on a series sampled every five minutes.
    pub open_evidence: f32,
    /// How much of a logit's rarity is evidence.
    #[serde(default = "all_of_it")]
    pub logit_weight: f32,
    /// What is evidence by being rare; a model made before there were signals names none.
    #[serde(default)]
    pub signals: Vec<Signal>,
}

/// Of a model made before it was said.
fn all_of_it() -> f32 {
    1.0
}

/// A feature, and how much of its rarity is evidence.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Signal {
    pub feature: Feature,
    pub weight: f32,
}

/// The number of a feature, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Feature(pub usize);

impl TryFrom<String> for Feature {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        FEATURES.iter().position(|feature| *feature == name).map(Self).ok_or_else(|| format!("no feature is called {name:?}"))
    }
}

impl Prior {
    pub fn is_usable(&self) -> bool {
        let mut weights = self.signals.iter().map(|signal| signal.weight).chain([self.logit_weight]);
        self.open_evidence.is_finite() && self.signals.len() <= MOST_SIGNALS && weights.all(|weight| (0.0..=10.0).contains(&weight))
    }
}

/// The logits and the signals of a key so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Of the logits, then of each signal: one piece of memory, as there is one for every device and metric.
    counts: Box<[u16]>,
}

/// A logit in the light of those before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgement {
    pub score: f32,
    /// The share of this key's own logits that were as high, at least one in as many as were seen.
    pub as_high: f32,
    /// What each of the model's signals adds to the evidence.
    pub signals: [f32; MOST_SIGNALS],
}

impl Calibration {
    /// Judges a row's logit and signals by those before them; then they join them.
    pub(crate) fn judge(&mut self, logit: f32, row: &Row, readings_per_week: f64, prior: &Prior) -> Judgement {
        let room = LOGITS.room() + prior.signals.len() * SIGNALS.room();
        if self.counts.len() != room {
            self.counts = vec![0; room].into();
        }
        let (of_logits, of_signals) = self.counts.split_at_mut(LOGITS.room());
        let as_high = LOGITS.push(of_logits, logit);
        let mut signals = [0.0; MOST_SIGNALS];
        for ((added, counts), signal) in signals.iter_mut().zip(of_signals.chunks_exact_mut(SIGNALS.room())).zip(&prior.signals) {
            *added = -signal.weight * SIGNALS.push(counts, row[signal.feature.0]).ln();
        }
        let haste = FASTER * (readings_per_week / EVERY_FIVE_MINUTES).max(1.0).ln();
        let evidence = logit - prior.logit_weight * as_high.ln() + signals.iter().sum::<f32>();
        let score = 1.0 / (1.0 + (prior.open_evidence + haste as f32 - evidence - LN_FOUR).exp());
        Judgement { score, as_high, signals }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::features::FEATURE_COUNT;

    const SLOW: f64 = 1_000.0;
    const CALM: Row = [0.0; FEATURE_COUNT];
    const SIGNAL: usize = 5;

    fn prior() -> Prior {
        Prior { open_evidence: 8.0, logit_weight: 1.0, signals: Vec::new() }
    }

    fn after(count: u32, logit: impl Fn(u32) -> f32) -> Calibration {
        let mut calibration = Calibration::default();
        (0..count).for_each(|i| {
            calibration.judge(logit(i), &CALM, SLOW, &prior());
        });
        calibration
    }

    fn score(calibration: &Calibration, logit: f32, readings_per_week: f64) -> f32 {
        calibration.clone().judge(logit, &CALM, readings_per_week, &prior()).score
    }

    #[test]
    fn the_opening_evidence_scores_four_fifths() {
        // Of a key nothing is known of, half are taken to be as high.
        let score = Calibration::default().judge(8.0 - 2.0_f32.ln(), &CALM, SLOW, &prior()).score;
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
    fn a_signal_counts_by_how_rare_it_is_of_this_key_and_as_much_as_is_said() {
        let prior = Prior { open_evidence: 8.0, logit_weight: 1.0, signals: vec![Signal { feature: Feature(SIGNAL), weight: 0.5 }] };
        let row = |signal: f32| {
            let mut row = CALM;
            row[SIGNAL] = signal;
            row
        };
        let judged = |often: u32| {
            let mut calibration = Calibration::default();
            (0..4_000).for_each(|i| _ = calibration.judge(-6.0, &row(if i % often == 0 { 3.0 } else { 0.0 }), SLOW, &prior));
            calibration.judge(-6.0, &row(3.0), SLOW, &prior)
        };
        let (rare, common) = (judged(2_000), judged(4));
        assert!((rare.signals[0] - 0.5 * (4_002.0_f32 / 3.0).ln()).abs() < 1e-3, "{rare:?}");
        assert!((common.signals[0] - 0.5 * (4_002.0_f32 / 1_001.0).ln()).abs() < 1e-3, "{common:?}");
        let odds = |judged: &Judgement| (judged.score / (1.0 - judged.score)).ln();
        assert!((odds(&rare) - odds(&common) - (rare.signals[0] - common.signals[0])).abs() < 1e-2, "{rare:?} {common:?}");
        assert_eq!(rare.signals[1..], [0.0; MOST_SIGNALS - 1]);
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

    #[test]
    fn a_signal_is_named_as_a_feature() {
        let prior: Prior =
            serde_json::from_str(r#"{"open_evidence": 7.0, "signals": [{"feature": "novelty_long", "weight": 0.5}]}"#).unwrap();
        assert_eq!(FEATURES[prior.signals[0].feature.0], "novelty_long");
        let refused =
            serde_json::from_str::<Prior>(r#"{"open_evidence": 7.0, "signals": [{"feature": "novelty", "weight": 0.5}]}"#).unwrap_err();
        assert!(refused.to_string().contains("no feature is called \"novelty\""), "{refused}");
        let before: Prior = serde_json::from_str(r#"{"open_evidence": 7.0}"#).unwrap();
        assert!(before.signals.is_empty() && (before.logit_weight - 1.0).abs() < f32::EPSILON && before.is_usable());
        for weight in [-1.0, f32::NAN, f32::INFINITY] {
            let signals = vec![Signal { feature: Feature(SIGNAL), weight }];
            assert!(!Prior { signals, ..prior.clone() }.is_usable(), "{weight}");
        }
        assert!(!Prior { signals: vec![prior.signals[0]; MOST_SIGNALS + 1], ..prior.clone() }.is_usable());
        assert!(!Prior { logit_weight: f32::NAN, ..prior }.is_usable());
    }
}
