//! Exponential backoff with jitter.

use std::time::Duration;

/// Doubles from `first` to `longest`; half of each delay is jitter, so that replicas do not return together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    pub first: Duration,
    pub longest: Duration,
}

impl Backoff {
    /// The pause after `failures` failures in a row (1 or more); `jitter` is random in 0..1.
    pub fn delay(self, failures: u32, jitter: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let whole = self.first.saturating_mul(1 << doublings).min(self.longest);
        whole.div_f64(2.0) + whole.mul_f64(jitter.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(5) };

    #[test]
    fn a_delay_doubles_up_to_the_longest() {
        let whole: Vec<u128> = (1..=8).map(|failures| BACKOFF.delay(failures, 1.0).as_millis()).collect();
        assert_eq!(whole, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(BACKOFF.delay(u32::MAX, 1.0), BACKOFF.longest);
    }

    #[test]
    fn jitter_takes_at_most_half() {
        assert_eq!(BACKOFF.delay(1, 0.0), Duration::from_millis(50));
        assert_eq!(BACKOFF.delay(1, 0.5), Duration::from_millis(75));
    }
}
