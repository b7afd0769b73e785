//! When the n-th of many things is due.

use std::time::Duration;

/// So many a second, or as fast as they go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    PerSecond(f64),
    Unpaced,
}

impl Pace {
    /// Time from the start to the `number`-th thing, from 0. Counted from the start, so that lateness is caught up.
    pub(crate) fn due(self, number: u64) -> Duration {
        match self {
            Self::PerSecond(rate) => Duration::try_from_secs_f64(number as f64 / rate).unwrap_or(Duration::MAX),
            Self::Unpaced => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_does_not_move_what_comes_after() {
        assert_eq!(Pace::PerSecond(500.0).due(10_000), Duration::from_secs(20));
        assert_eq!(Pace::Unpaced.due(10_000), Duration::ZERO);
    }
}
