//! One-step prediction from the last eight values by recursive least squares with forgetting (Haykin, Adaptive Filter
//! Theory, ch. 9). Input is standardised and bounded by the caller; a gap clears the lags, not what was learned.

use serde::{Deserialize, Serialize};

use super::moments::Average;

const ORDER: usize = 8;
const FORGET: f64 = 0.998;
const INITIAL_COVARIANCE: f64 = 10.0;
/// Forgetting stops while the covariance is this large: on a constant series it would grow without bound.
const COVARIANCE_LIMIT: f64 = 1e3;
const LONG: u32 = 500;
const SHORT: u32 = 8;
const FLOOR: f64 = 0.02;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Autoregression {
    lags: [f64; ORDER],
    filled: u8,
    weights: [f64; ORDER],
    covariance: [[f64; ORDER]; ORDER],
    long: Average,
    short: Average,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Residual {
    /// |error| over its usual size.
    pub(crate) ratio: f64,
    /// The mean of the last few |errors| over their usual size.
    pub(crate) short_over_long: f64,
}

impl Default for Autoregression {
    fn default() -> Self {
        let mut covariance = [[0.0; ORDER]; ORDER];
        (0..ORDER).for_each(|i| covariance[i][i] = INITIAL_COVARIANCE);
        Self { lags: [0.0; ORDER], filled: 0, weights: [0.0; ORDER], covariance, long: Average::default(), short: Average::default() }
    }
}

impl Autoregression {
    pub(crate) fn forget_lags(&mut self) {
        self.filled = 0;
        self.short = Average::default();
    }

    pub(crate) fn push(&mut self, value: f64) -> Residual {
        let mut residual = Residual::default();
        if usize::from(self.filled) == ORDER {
            let error = value - dot(&self.weights, &self.lags);
            let usual = self.long.mean + FLOOR;
            residual.ratio = error.abs() / usual;
            self.short.push(error.abs(), SHORT);
            residual.short_over_long = (self.short.mean + FLOOR) / usual;
            let warm = self.long.count() > 32;
            let bounded = if warm { error.clamp(-6.0 * usual, 6.0 * usual) } else { error };
            self.long.push(bounded.abs(), LONG);
            self.learn(bounded);
        } else {
            self.filled += 1;
        }
        self.lags.copy_within(..ORDER - 1, 1);
        self.lags[0] = value;
        residual
    }

    fn learn(&mut self, error: f64) {
        let mut projected = [0.0; ORDER];
        for (p, row) in projected.iter_mut().zip(&self.covariance) {
            *p = dot(row, &self.lags);
        }
        let denominator = FORGET + dot(&projected, &self.lags);
        let trace: f64 = (0..ORDER).map(|i| self.covariance[i][i]).sum();
        let forget = if trace < COVARIANCE_LIMIT { FORGET } else { 1.0 };
        for (i, row) in self.covariance.iter_mut().enumerate() {
            self.weights[i] += projected[i] / denominator * error;
            for (cell, along) in row.iter_mut().zip(&projected) {
                // Written so that the matrix stays symmetric to the last bit.
                *cell = (*cell - projected[i] * along / denominator) / forget;
            }
        }
    }
}

fn dot(a: &[f64; ORDER], b: &[f64; ORDER]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_learns_a_sine_and_is_surprised_by_a_break() {
        let mut model = Autoregression::default();
        let wave = |i: u32| (f64::from(i) * 0.3).sin();
        let mut last = Residual::default();
        (0..2_000).for_each(|i| last = model.push(wave(i)));
        assert!(last.ratio < 2.0, "{last:?}");
        assert!(model.push(wave(2_000) + 2.0).ratio > 10.0);
    }

    #[test]
    fn a_long_constant_series_keeps_it_finite() {
        let mut model = Autoregression::default();
        (0..200_000).for_each(|_| {
            assert!(model.push(1.0).ratio.is_finite());
        });
        assert!(model.push(8.0).ratio.is_finite());
        assert!(model.covariance.as_flattened().iter().all(|c| c.is_finite()));
    }
}
