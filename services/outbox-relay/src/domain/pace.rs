//! How soon to look again.

use std::time::Duration;

/// Quick while rows come, slower while none do.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    shortest: Duration,
    longest: Duration,
    next: Duration,
}

impl Pace {
    pub fn new(shortest: Duration, longest: Duration) -> Self {
        Self { shortest, longest, next: shortest }
    }

    /// More is waiting already: at once.
    pub fn more(&mut self) -> Duration {
        self.next = self.shortest;
        Duration::ZERO
    }

    /// Everything found is done: soon.
    pub fn some(&mut self) -> Duration {
        self.next = self.shortest;
        self.shortest
    }

    /// Nothing was found: twice as late as the last time.
    pub fn none(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_outbox_is_looked_at_less_and_less_until_a_row_comes() {
        let mut pace = Pace::new(Duration::from_millis(2), Duration::from_millis(50));
        let idle: Vec<u128> = (0..7).map(|_| pace.none().as_millis()).collect();
        assert_eq!(idle, [2, 4, 8, 16, 32, 50, 50]);
        assert_eq!(pace.some(), Duration::from_millis(2));
        assert_eq!(pace.none(), Duration::from_millis(2));
        assert_eq!(pace.more(), Duration::ZERO);
    }
}
