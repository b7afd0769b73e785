//! Left discord: how far the newest `LENGTH` values are from the most similar stretch seen before them (the left matrix
//! profile of Yeh et al., 2016, without normalisation, so that a change of level counts).
//!
//! Squared distances are kept per lag and follow by recurrence, O(lags) a value; they are computed afresh every
//! `REFRESH` values because sums in f32 drift.

use serde::{Deserialize, Serialize};

use super::{history::History, moments::Moments};

const LENGTH: usize = 16;
const LAGS: usize = 256;
const KEEP: usize = LAGS + 2 * LENGTH;
const REFRESH: u16 = 64;
const HORIZON: u32 = 500;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Discord {
    history: History<KEEP>,
    /// Squared distances to the stretches before the newest, the longest ago first; all the lags `LENGTH..LENGTH + LAGS`
    /// once the history is full.
    squared: Vec<f32>,
    since_refresh: u16,
    contiguous: u16,
    usual: Moments,
    z: f32,
}

impl Discord {
    /// The values after a gap are not compared until a whole stretch of them is in.
    pub(crate) fn forget_contiguity(&mut self) {
        self.contiguous = 0;
        self.z = 0.0;
    }

    /// Deviations of the newest distance from its usual size. `scale` is a typical deviation of the series.
    pub(crate) fn push(&mut self, value: f32, scale: f32) -> f32 {
        self.history.push(value);
        self.contiguous = self.contiguous.saturating_add(1).min(LENGTH as u16);
        if self.history.len() < 2 * LENGTH {
            return 0.0;
        }
        if self.history.len() < KEEP || self.since_refresh >= REFRESH {
            self.refresh();
        } else {
            self.advance();
        }
        if usize::from(self.contiguous) < LENGTH {
            return 0.0;
        }
        let nearest = self.squared.iter().copied().fold(f32::INFINITY, f32::min);
        let distance = f64::from(nearest.max(0.0) / LENGTH as f32).sqrt();
        let floor = 0.1 * self.usual.mean() + 0.02 * f64::from(scale);
        self.z = self.usual.z(distance, floor) as f32;
        self.usual.push(distance, HORIZON);
        self.z
    }

    pub(crate) fn z(&self) -> f32 {
        self.z
    }

    fn refresh(&mut self) {
        let values = self.history.as_slice();
        let newest = &values[values.len() - LENGTH..];
        // A stretch may not overlap the newest one.
        let lags = (values.len() - 2 * LENGTH + 1).min(LAGS);
        let first = values.len() - 2 * LENGTH + 1 - lags;
        self.squared.clear();
        self.squared.extend((first..first + lags).map(|start| {
            let stretch = &values[start..start + LENGTH];
            stretch.iter().zip(newest).map(|(a, b)| (a - b) * (a - b)).sum::<f32>()
        }));
        self.since_refresh = 0;
    }

    fn advance(&mut self) {
        let values = self.history.as_slice();
        let entering = values[KEEP - 1];
        let leaving = values[KEEP - 1 - LENGTH];
        let ends = &values[LENGTH..];
        for ((squared, end), before) in self.squared.iter_mut().zip(ends).zip(values) {
            let (gain, loss) = (entering - end, leaving - before);
            *squared += gain * gain - loss * loss;
        }
        self.since_refresh += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(i: u32) -> f32 {
        (i.wrapping_mul(2_654_435_761) >> 16) as f32 / 65_536.0
    }

    #[test]
    fn the_recurrence_agrees_with_distances_computed_afresh() {
        let mut discord = Discord::default();
        for i in 0..2_000 {
            discord.push(noise(i), 1.0);
            let mut fresh = discord.clone();
            if fresh.history.len() >= 2 * LENGTH {
                fresh.refresh();
            }
            assert_eq!(discord.squared.len(), fresh.squared.len());
            for (a, b) in discord.squared.iter().zip(&fresh.squared) {
                assert!((a - b).abs() < 1e-3, "after {i}: {a} and {b}");
            }
        }
    }

    #[test]
    fn a_shape_never_seen_stands_out_of_a_repeating_one() {
        let mut discord = Discord::default();
        (0..500).for_each(|i| {
            discord.push((i % 24) as f32 + noise(i), 7.0);
        });
        let usual = (500..1_004).map(|i| discord.push((i % 24) as f32 + noise(i), 7.0)).fold(0.0, f32::max);
        let broken = (0..16).map(|i| discord.push(12.0 + noise(i), 7.0)).fold(0.0, f32::max);
        assert!(broken > 4.0 && usual < 1.0, "{usual} {broken}");
    }
}
