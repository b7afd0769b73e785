//! What is usual at this time of day (UTC), in 48 bins of half an hour, and of the week, in 84 of two hours.
//!
//! A bin learns once a visit, when the series moves on to another bin, so that sampling every second or every ten minutes
//! comes to the same. It speaks from its third visit on.

use serde::{Deserialize, Serialize};

pub(crate) type TimeOfDay = Periodic<48, 30>;
pub(crate) type TimeOfWeek = Periodic<84, 120>;

const LEARN: f32 = 0.25;
const TRUST_AFTER: u8 = 2;

/// Packed: a quarter of it would be padding, in every bin of every device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[repr(Rust, packed)]
struct Bin {
    mean: f32,
    deviation: f32,
    visits: u8,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Periodic<const BINS: usize, const MINUTES: i64> {
    bins: Vec<Bin>,
    current: usize,
    sum: f64,
    deviations: f64,
    count: u32,
}

impl<const BINS: usize, const MINUTES: i64> Periodic<BINS, MINUTES> {
    /// The usual value and mean absolute deviation at that time, when known.
    pub(crate) fn usual(&self, at_micros: i64) -> Option<(f32, f32)> {
        let bin = self.bins.get(Self::bin_of(at_micros))?;
        (bin.visits >= TRUST_AFTER).then_some((bin.mean, bin.deviation))
    }

    pub(crate) fn push(&mut self, at_micros: i64, value: f32) {
        if self.bins.is_empty() {
            self.bins.resize(BINS, Bin::default());
        }
        let bin = Self::bin_of(at_micros);
        if bin != self.current {
            self.leave();
            self.current = bin;
        }
        self.sum += f64::from(value);
        self.deviations += f64::from((value - self.bins[bin].mean).abs());
        self.count += 1;
    }

    fn leave(&mut self) {
        let bin = &mut self.bins[self.current];
        if self.count > 0 {
            let mean = (self.sum / f64::from(self.count)) as f32;
            let deviation = (self.deviations / f64::from(self.count)) as f32;
            match bin.visits {
                0 => bin.mean = mean,
                1 => {
                    bin.mean = f32::midpoint(bin.mean, mean);
                    bin.deviation = deviation;
                }
                _ => {
                    // A day unlike all others counts as four deviations off, as if it were only that unusual.
                    let reach = 4.0 * bin.deviation + 0.1 * (mean - bin.mean).abs();
                    bin.mean += LEARN * (mean - bin.mean).clamp(-reach, reach);
                    bin.deviation += LEARN * (deviation.min(reach) - bin.deviation);
                }
            }
            bin.visits = bin.visits.saturating_add(1);
        }
        (self.sum, self.deviations, self.count) = (0.0, 0.0, 0);
    }

    fn bin_of(at_micros: i64) -> usize {
        at_micros.div_euclid(MINUTES * 60_000_000).rem_euclid(BINS as i64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_knows_the_usual_value_from_the_third_day_on() {
        let mut usual = TimeOfDay::default();
        let reading = |i: i64| (i * 300_000_000, (i % 288) as f32);
        for i in 0..288 * 2 {
            let (at, value) = reading(i);
            assert!(usual.usual(at).is_none());
            usual.push(at, value);
        }
        let (mean, deviation) = {
            usual.push(288 * 2 * 300_000_000, 0.0);
            usual.usual(12 * 300_000_000).unwrap()
        };
        assert!((mean - 14.5).abs() < 0.1, "{mean}");
        assert!(deviation > 0.5 && deviation < 3.0, "{deviation}");
    }

    #[test]
    fn times_before_the_epoch_have_a_bin_too() {
        assert_eq!(TimeOfDay::bin_of(-1), 47);
        assert_eq!(TimeOfWeek::bin_of(i64::MIN), TimeOfWeek::bin_of(i64::MIN + 1));
    }
}
