//! Nearest-rank percentiles of durations.

use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Percentiles {
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) p999: Duration,
    pub(crate) max: Duration,
}

impl Percentiles {
    /// `None` of nothing.
    pub(crate) fn of(mut durations: Vec<Duration>) -> Option<Self> {
        durations.sort_unstable();
        let at = |per_mille: usize| durations.get((durations.len() * per_mille).div_ceil(1_000).max(1) - 1).copied();
        Some(Self { p50: at(500)?, p99: at(990)?, p999: at(999)?, max: *durations.last()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_rank_is_a_duration_that_was_seen() {
        let durations = (1..=300).rev().map(Duration::from_millis).collect();
        let [p50, p99, p999, max] = [150, 297, 300, 300].map(Duration::from_millis);
        assert_eq!(Percentiles::of(durations), Some(Percentiles { p50, p99, p999, max }));
    }

    #[test]
    fn one_duration_is_every_percentile_and_none_is_none() {
        let only = Duration::from_millis(7);
        assert_eq!(Percentiles::of(vec![only]), Some(Percentiles { p50: only, p99: only, p999: only, max: only }));
        assert_eq!(Percentiles::of(Vec::new()), None);
    }
}
