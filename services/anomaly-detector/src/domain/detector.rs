//! One (device, metric) from reading to score. The network is consulted in between, by whoever can batch: first `observe`
//! each reading in log order, then hand its logit to `score` in the same order.

use serde::{Deserialize, Serialize};

use super::{
    calibration::{Calibration, Judgement, Prior},
    features::{FeatureState, NotFinite, Observation},
};

/// All that is remembered of a key besides what was announced. It can be rebuilt by replaying its readings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    pub(crate) features: FeatureState,
    pub(crate) calibration: Calibration,
}

impl Memory {
    pub fn observe(&mut self, at_micros: i64, value: f64) -> Result<Observation, NotFinite> {
        self.features.observe(at_micros, value)
    }

    /// Another model's logits are another scale, and its signals others: what this key's usual ones are has to be learned anew.
    pub fn forget_calibration(&mut self) {
        self.calibration = Calibration::default();
    }

    /// The score, 0 to 1, of a reading; none during warm-up. Later readings may have been observed by now, but all before it
    /// must have been judged. `logit` is the network's word on it; it is rounded before it meets any state, so that how
    /// readings were batched cannot show.
    pub fn judge(&mut self, observation: &Observation, logit: f32, prior: &Prior) -> Option<Judgement> {
        let Observation { ready, row, readings_per_week, .. } = observation;
        ready.then(|| self.calibration.judge(round_logit(logit), row, *readings_per_week, prior))
    }

    /// [`judge`](Self::judge)'s score, 0 during warm-up.
    pub fn score(&mut self, observation: &Observation, logit: f32, prior: &Prior) -> f32 {
        self.judge(observation, logit, prior).map_or(0.0, |judgement| judgement.score)
    }
}

/// To four decimals; what is no number counts as nothing unusual.
pub fn round_logit(logit: f32) -> f32 {
    if logit.is_finite() { (logit.clamp(-1e3, 1e3) * 1e4).round() / 1e4 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIOR: Prior = Prior { open_evidence: 3.0, logit_weight: 1.0, signals: Vec::new() };

    fn reading(i: u32) -> (i64, f64, f32) {
        let at = i64::from(i) * if i < 300 { 60_000_000 } else { 1_000_000 };
        (at, f64::from(i % 13), (i % 17) as f32 / 4.0)
    }

    #[test]
    fn observing_ahead_of_scoring_changes_no_score_and_no_state() {
        let (mut in_step, mut ahead) = (Memory::default(), Memory::default());
        let mut scores = Vec::new();
        for (at, value, logit) in (0..500).map(reading) {
            let observation = in_step.observe(at, value).unwrap();
            scores.push(in_step.score(&observation, logit, &PRIOR).to_bits());
        }
        let observations: Vec<_> = (0..500).map(reading).map(|(at, value, _)| ahead.observe(at, value).unwrap()).collect();
        let in_order = observations.iter().zip((0..500).map(reading));
        let late: Vec<u32> = in_order.map(|(o, (_, _, logit))| ahead.score(o, logit, &PRIOR).to_bits()).collect();
        assert_eq!(scores, late);
        assert_eq!(in_step, ahead);
    }

    #[test]
    fn what_differs_by_less_than_a_ten_thousandth_is_the_same_logit() {
        assert_eq!(round_logit(1.234_56).to_bits(), round_logit(1.234_58).to_bits());
        assert_eq!([f32::NAN, f32::INFINITY].map(|l| round_logit(l).to_bits()), [0, 0]);
    }
}
