//! The readings of one pane, as numbers that can be merged.

use serde::{Deserialize, Serialize};

/// Count, mean, extremes, the newest value and the spread of some readings (Welford; merged after Chan et al., 1979).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    pub count: u32,
    pub mean: f64,
    pub min: f64,
    pub max: f64,
    pub last: f64,
    pub(super) last_at: i64,
    squares: f64,
}

impl Stats {
    pub(super) fn push(&mut self, at_micros: i64, value: f64) {
        self.merge(&Self { count: 1, mean: value, min: value, max: value, last: value, last_at: at_micros, squares: 0.0 });
    }

    pub(super) fn merge(&mut self, other: &Self) {
        if self.count == 0 || other.count == 0 {
            if self.count == 0 {
                *self = *other;
            }
            return;
        }
        let (mine, theirs) = (f64::from(self.count), f64::from(other.count));
        let (total, off) = (mine + theirs, other.mean - self.mean);
        self.mean += off * theirs / total;
        self.squares += other.squares + off * off * mine * theirs / total;
        self.count = self.count.saturating_add(other.count);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        // Of two readings of one instant the one that came later is the last.
        if other.last_at >= self.last_at {
            (self.last, self.last_at) = (other.last, other.last_at);
        }
    }

    /// Of the readings as they are, not of a population they might be a sample of.
    pub fn deviation(&self) -> f64 {
        if self.count == 0 { 0.0 } else { (self.squares / f64::from(self.count)).max(0.0).sqrt() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stats(values: &[f64]) -> Stats {
        let mut stats = Stats::default();
        values.iter().enumerate().for_each(|(i, value)| stats.push(i as i64, *value));
        stats
    }

    proptest! {
        #[test]
        fn merged_parts_say_what_the_whole_says(values in prop::collection::vec(-1e3_f64..1e3, 1..60), cut in 0..60_usize) {
            let cut = cut.min(values.len());
            let mut merged = stats(&values[..cut]);
            let offset = stats(&values[cut..]);
            merged.merge(&Stats { last_at: offset.last_at + cut as i64, ..offset });
            let n = values.len() as f64;
            let mean = values.iter().sum::<f64>() / n;
            let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
            prop_assert_eq!(merged.count as usize, values.len());
            prop_assert!((merged.mean - mean).abs() < 1e-9 && (merged.deviation() - deviation).abs() < 1e-6, "{:?}", merged);
            prop_assert_eq!(merged.min.to_bits(), values.iter().copied().fold(f64::INFINITY, f64::min).to_bits());
            prop_assert_eq!(merged.max.to_bits(), values.iter().copied().fold(f64::NEG_INFINITY, f64::max).to_bits());
            prop_assert_eq!(merged.last.to_bits(), values[values.len() - 1].to_bits());
        }
    }
}
