//! The features by name, in the order the network takes them, and how raw ratios become well-behaved numbers.

/// One reading's features, in the order of `FEATURES`.
pub type Row = [f32; FEATURE_COUNT];

pub const FEATURE_COUNT: usize = FEATURES.len();

/// By family. z: deviations from a level; shift: the same of a short mean; ratios of short to long are logarithms; max: the
/// highest lately, fading; `discord_N`: over means of N readings; far: in deviations of the series; new: beside the furthest
/// so far; usual: what is usual of this series.
pub const FEATURES: [&str; 56] = [
    // Where the reading stands among the last ones.
    "z_12",
    "z_48",
    "z_288",
    "z_long",
    "novelty_288",
    "novelty_long",
    "novelty_max",
    "tail_rank_48",
    "tail_rank_288",
    "tail_rank_mean",
    // Beside what is usual at this time.
    "daily_z",
    "daily_shift",
    "weekly_z",
    "weekly_shift",
    // Levels and spreads of the newest stretch.
    "shift_4",
    "shift_12",
    "shift_48",
    "shift_288",
    "deviation_4",
    "deviation_12",
    "deviation_48",
    "deviation_288",
    // Steps from reading to reading.
    "increment",
    "increment_max",
    "increments_8",
    "increments_48",
    "roughness_usual",
    // One-step prediction.
    "prediction_error",
    "prediction_error_short",
    "prediction_error_max",
    "prediction_error_mean",
    // Runs of one value.
    "repeats",
    "repeats_max",
    // Left discords.
    "discord_1",
    "discord_1_mean",
    "discord_1_long",
    "discord_1_max",
    "discord_1_far",
    "discord_1_new",
    "discord_1_new_max",
    "discord_1_usual",
    "discord_4",
    "discord_4_mean",
    "discord_4_max",
    "discord_4_far",
    "discord_4_new",
    "discord_4_new_max",
    "discord_4_usual",
    "discord_16",
    "discord_16_max",
    "discord_16_far",
    "discord_16_new",
    "discord_16_usual",
    "level_4",
    "level_16",
    "maturity",
];

/// A row in the making: family by family, in the order of `FEATURES`.
pub(crate) struct RowWriter {
    row: Row,
    filled: usize,
}

impl RowWriter {
    pub(crate) fn new() -> Self {
        Self { row: [0.0; FEATURE_COUNT], filled: 0 }
    }

    pub(crate) fn put<const N: usize>(&mut self, family: [f32; N]) {
        self.row[self.filled..self.filled + N].copy_from_slice(&family);
        self.filled += N;
    }

    pub(crate) fn finish(self) -> Row {
        debug_assert_eq!(self.filled, FEATURE_COUNT);
        self.row
    }
}

/// Magnitudes of any size to a few units: ln(1 + |x|) with the sign kept; what is no number becomes 0.
pub(crate) fn squash(x: f64) -> f32 {
    if x.is_nan() { 0.0 } else { (x.abs().min(1e9).ln_1p() * x.signum()) as f32 }
}

/// Logarithm of a ratio of two magnitudes, each at least `floor`.
pub(crate) fn log_ratio(short: f64, long: f64, floor: f64) -> f32 {
    ((short + floor) / (long + floor)).clamp(1e-4, 1e9).ln() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_is_squashed_to_a_finite_number() {
        for x in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, 0.0, -0.0] {
            assert!(squash(x).is_finite());
        }
        assert!(squash(-3.0) < squash(2.0));
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::BTreeSet<_> = FEATURES.iter().collect();
        assert_eq!(names.len(), FEATURE_COUNT);
    }
}
