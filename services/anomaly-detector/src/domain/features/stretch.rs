//! A discord over means of `STRIDE` readings; between two of them its last word stands.

use serde::{Deserialize, Serialize};

use super::{discord::Discord, moments::Moments};

const HORIZON: u32 = 2_000;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stretched<const STRIDE: u8, const KEEP: usize> {
    sum: f32,
    count: u8,
    discord: Discord<KEEP>,
    levels: Moments,
    level_z: f32,
}

impl<const STRIDE: u8, const KEEP: usize> Stretched<STRIDE, KEEP> {
    /// The mean begun before a gap is dropped; whole ones stay comparable.
    pub(crate) fn forget_contiguity(&mut self) {
        (self.sum, self.count) = (0.0, 0);
    }

    /// True when a mean was completed.
    pub(crate) fn push(&mut self, value: f32, scale: f32) -> bool {
        self.sum += value / f32::from(STRIDE);
        self.count += 1;
        if self.count < STRIDE {
            return false;
        }
        self.discord.push(self.sum, scale);
        self.level_z = self.levels.z(f64::from(self.sum), 0.05 * f64::from(scale)) as f32;
        self.levels.push(f64::from(self.sum), HORIZON);
        (self.sum, self.count) = (0.0, 0);
        true
    }

    pub(crate) fn discord(&self) -> &Discord<KEEP> {
        &self.discord
    }

    /// Deviations of the newest mean from the usual one.
    pub(crate) fn level_z(&self) -> f32 {
        self.level_z
    }
}
