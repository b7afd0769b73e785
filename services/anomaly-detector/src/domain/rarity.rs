//! How rare a value is of the very key it comes from.

use serde::{Deserialize, Serialize};

/// Counts are in eighths of a reading, so that two bytes hold one and what is halved fades.
const ONE: u16 = 8;
/// Readings at which all counts are halved.
const FULL: u16 = 6_000;

/// How values are counted: in `bins` of `width` from `lowest` on; beyond either end the outermost bin counts them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) lowest: f32,
    pub(crate) width: f32,
    pub(crate) bins: usize,
}

/// The values of a key so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rarity {
    counts: Box<[u16]>,
    total: u16,
}

impl Rarity {
    /// The share of the values so far that were as high, at least one in as many as were seen; then the value joins them.
    pub(crate) fn push(&mut self, value: f32, scale: Scale) -> f32 {
        let as_high = self.as_high(value, scale);
        self.learn(value, scale);
        as_high
    }

    pub(crate) fn as_high(&self, value: f32, scale: Scale) -> f32 {
        let (bin, above) = scale.place(value);
        let (one, within) = (f32::from(ONE), self.counts.get(bin).map_or(0.0, |count| f32::from(*count) * (1.0 - above)));
        let beyond: u16 = self.counts.get(bin + 1..).unwrap_or_default().iter().sum();
        (within + f32::from(beyond) + one) / (f32::from(self.total) + 2.0 * one)
    }

    fn learn(&mut self, value: f32, scale: Scale) {
        if self.counts.len() != scale.bins {
            *self = Self { counts: vec![0; scale.bins].into(), total: 0 };
        }
        if self.total >= FULL * ONE {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.total = self.counts.iter().sum();
        }
        self.counts[scale.place(value).0] += ONE;
        self.total += ONE;
    }
}

impl Scale {
    /// The bin of a value, and how far into it it lies, 0 to 1.
    fn place(&self, value: f32) -> (usize, f32) {
        let at = (value - self.lowest) / self.width;
        let bin = at.floor().clamp(0.0, (self.bins - 1) as f32);
        (bin as usize, (at - bin).clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALE: Scale = Scale { lowest: -2.0, width: 0.125, bins: 64 };

    fn after(count: u32, value: impl Fn(u32) -> f32) -> Rarity {
        let mut rarity = Rarity::default();
        (0..count).for_each(|i| _ = rarity.push(value(i), SCALE));
        rarity
    }

    #[test]
    fn of_a_key_nothing_is_known_of_half_are_as_high() {
        assert!((Rarity::default().as_high(1.0, SCALE) - 0.5).abs() < 1e-6);
    }

    #[test]
    fn as_high_is_the_share_that_reached_it() {
        let hundred = after(100, |i| if i < 10 { 3.0 } else { 0.0 });
        for (value, reached) in [(-1.0, 100.0), (0.0, 100.0), (1.0, 10.0), (3.0, 10.0), (4.0, 0.0)] {
            let expected = (reached + 1.0) / 102.0;
            assert!((hundred.as_high(value, SCALE) - expected).abs() < 1e-6, "{value}: {}", hundred.as_high(value, SCALE));
        }
    }

    #[test]
    fn what_lies_beyond_the_scale_is_counted_at_its_end() {
        let wild = after(100, |i| if i % 2 == 0 { 1e9 } else { -1e9 });
        for (value, reached) in [(-50.0, 100.0), (0.0, 50.0), (5.0, 50.0), (1e9, 0.0)] {
            let expected = (reached + 1.0) / 102.0;
            assert!((wild.as_high(value, SCALE) - expected).abs() < 1e-6, "{value}: {}", wild.as_high(value, SCALE));
        }
    }

    #[test]
    fn counts_stay_within_their_bytes_and_what_is_rare_stays_rare() {
        let long = after(1_000_000, |i| if i % 1_000 == 0 { 3.0 } else { 0.0 });
        assert!((0.000_5..0.002).contains(&long.as_high(3.0, SCALE)), "{}", long.as_high(3.0, SCALE));
        let one = after(1_000_000, |_| 0.0);
        assert!(one.as_high(0.0, SCALE) > 0.99 && one.as_high(1.0, SCALE) < 1.0 / 3_000.0);
    }

    #[test]
    fn what_was_usual_long_ago_does_not_count_for_ever() {
        let changed = after(60_000, |i| if i < 10_000 { 4.0 } else { -1.0 });
        assert!(changed.as_high(4.0, SCALE) < 1e-3, "{}", changed.as_high(4.0, SCALE));
    }
}
