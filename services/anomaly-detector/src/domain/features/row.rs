//! The features by name, in the order the network takes them, and how raw ratios become well-behaved numbers.

/// One reading's features, in the order of `FEATURES`.
pub type Row = [f32; FEATURE_COUNT];

pub const FEATURE_COUNT: usize = FEATURES.len();

/// z: deviations from a level; shift: the same of a short mean; ratios are logarithms.
pub const FEATURES: [&str; 28] = [
    "z_12",
    "z_48",
    "z_288",
    "z_long",
    "shift_4",
    "shift_12",
    "shift_48",
    "increment",
    "increment_max",
    "deviation_12",
    "deviation_48",
    "prediction_error",
    "prediction_error_short",
    "prediction_error_max",
    "novelty_288",
    "novelty_long",
    "repeats",
    "tail_rank_288",
    "daily_z",
    "daily_shift",
    "discord_1",
    "discord_1_mean",
    "discord_4",
    "discord_16",
    "discord_max",
    "tail_rank_48",
    "coarse_z",
    "maturity",
];

/// Magnitudes of any size to a few units: ln(1 + |x|) with the sign kept; what is no number becomes 0.
pub(crate) fn squash(x: f64) -> f32 {
    if x.is_nan() { 0.0 } else { (x.abs().min(1e9).ln_1p() * x.signum()) as f32 }
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
