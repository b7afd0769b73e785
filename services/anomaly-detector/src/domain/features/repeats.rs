//! Runs of one repeated value: a sensor that hangs repeats longer than it ever did.

use serde::{Deserialize, Serialize};

/// Earlier runs fade over about this many runs, so that one old outage does not excuse all later ones.
const FADE: f32 = 0.98;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Repeats {
    last: f32,
    run: f32,
    longest: f32,
    distinct: u32,
}

impl Repeats {
    /// ln of this run over the longest earlier one, at least 0; 0 until the series has moved sixteen times, since one that
    /// hardly moves is expected to repeat.
    pub(crate) fn push(&mut self, value: f32) -> f32 {
        if value.to_bits() == self.last.to_bits() {
            self.run += 1.0;
        } else {
            self.longest = (self.longest * FADE).max(self.run);
            self.run = 0.0;
            self.distinct = self.distinct.saturating_add(1);
            self.last = value;
        }
        if self.distinct < 16 { 0.0 } else { ((self.run + 2.0) / (self.longest + 2.0)).ln().max(0.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hanging_sensor_stands_out_and_a_constant_one_does_not() {
        let mut moving = Repeats::default();
        (0..100_u16).for_each(|i| {
            moving.push(f32::from(i));
        });
        let stuck = (0..30).map(|_| moving.push(7.0)).fold(0.0, f32::max);
        assert!(stuck > 2.0, "{stuck}");

        let mut constant = Repeats::default();
        assert!((0..500).map(|_| constant.push(7.0)).all(|v| v.abs() < f32::EPSILON));
    }
}
