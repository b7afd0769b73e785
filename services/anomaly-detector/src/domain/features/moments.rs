//! Running means that forget: exact averages at first, exponentially weighted once `horizon` values are in.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Average {
    pub(crate) mean: f64,
    count: u32,
}

impl Average {
    pub(crate) fn push(&mut self, value: f64, horizon: u32) {
        self.count = (self.count + 1).min(horizon);
        self.mean += (value - self.mean) / f64::from(self.count);
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }
}

/// Mean and standard deviation. A value further than `CLIP` deviations out is taken as `CLIP` out, so that one absurd
/// reading does not blind the series for the rest of the horizon.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Moments {
    mean: Average,
    square: Average,
}

const CLIP: f64 = 8.0;
const TRUST_AFTER: u32 = 32;

impl Moments {
    pub(crate) fn push(&mut self, value: f64, horizon: u32) {
        let mut off = value - self.mean.mean;
        let reach = CLIP * self.deviation();
        if self.mean.count >= TRUST_AFTER && reach > 0.0 {
            off = off.clamp(-reach, reach);
        }
        self.mean.push(self.mean.mean + off, horizon);
        self.square.push(off * off, horizon);
    }

    pub(crate) fn mean(&self) -> f64 {
        self.mean.mean
    }

    pub(crate) fn deviation(&self) -> f64 {
        self.square.mean.max(0.0).sqrt()
    }

    /// Deviations from the mean, 0 while too few values are in to tell; `floor` keeps a constant series defined.
    pub(crate) fn z(&self, value: f64, floor: f64) -> f64 {
        if self.mean.count < TRUST_AFTER {
            return 0.0;
        }
        (value - self.mean.mean) / (self.deviation() + floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_an_exact_average_until_the_horizon() {
        let mut average = Average::default();
        (1..=10).for_each(|v| average.push(f64::from(v), 100));
        assert!((average.mean - 5.5).abs() < 1e-12);
    }

    #[test]
    fn one_absurd_value_does_not_blind_the_series() {
        let mut moments = Moments::default();
        (0..1_000_u32).for_each(|i| moments.push(f64::from(i % 2), 1_000));
        let before = moments.deviation();
        moments.push(1e15, 1_000);
        assert!(moments.deviation() < before * 1.1);
    }
}
