//! How often a caller may ask: a bucket that fills steadily and empties by one for each request.

use std::time::Duration;

/// A caller's bucket. Time is counted from wherever its owner counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    tokens: f64,
    filled_at: Duration,
}

impl Bucket {
    /// Full.
    pub fn new(burst: u32, now: Duration) -> Self {
        Self { tokens: f64::from(burst), filled_at: now }
    }

    /// Takes one, or says how long until there is one.
    pub fn take(&mut self, per_second: u32, burst: u32, now: Duration) -> Result<(), Duration> {
        let filled = now.saturating_sub(self.filled_at).as_secs_f64() * f64::from(per_second);
        self.tokens = (self.tokens + filled).min(f64::from(burst));
        self.filled_at = now.max(self.filled_at);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - self.tokens) / f64::from(per_second.max(1))))
    }

    /// Nothing is remembered of a caller whose bucket would be full again.
    pub fn is_full(&self, per_second: u32, burst: u32, now: Duration) -> bool {
        let filled = now.saturating_sub(self.filled_at).as_secs_f64() * f64::from(per_second);
        self.tokens + filled >= f64::from(burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_a_steady_rate() {
        let mut bucket = Bucket::new(5, Duration::ZERO);
        let granted = |bucket: &mut Bucket, at: u64| bucket.take(2, 5, Duration::from_millis(at)).is_ok();
        assert_eq!((0..8).filter(|_| granted(&mut bucket, 0)).count(), 5);
        assert_eq!(bucket.take(2, 5, Duration::ZERO), Err(Duration::from_millis(500)));
        assert!(granted(&mut bucket, 500) && !granted(&mut bucket, 600) && granted(&mut bucket, 1_000));
        assert!(!bucket.is_full(2, 5, Duration::from_secs(3)) && bucket.is_full(2, 5, Duration::from_secs(10)));
        assert_eq!((0..20).filter(|_| granted(&mut bucket, 1_000_000)).count(), 5);
    }
}
