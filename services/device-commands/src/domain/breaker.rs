use events::{BreakerState, Timestamp};
use serde::{Deserialize, Serialize};

use super::Limits;

/// A device's circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Breaker {
    /// `failures` in a row so far.
    Closed {
        failures: u32,
    },
    Open {
        until: Timestamp,
    },
    /// The next command decides.
    HalfOpen,
}

impl Default for Breaker {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Breaker {
    /// Time passes.
    pub(super) fn pass(&mut self, now: Timestamp) {
        if self.due().is_some_and(|until| until <= now) {
            *self = Self::HalfOpen;
        }
    }

    /// When time alone changes it.
    pub(super) fn due(self) -> Option<Timestamp> {
        if let Self::Open { until } = self { Some(until) } else { None }
    }

    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    pub(super) fn failed(&mut self, now: Timestamp, limits: &Limits) {
        let open = Self::Open { until: now.saturating_add(limits.open) };
        *self = match *self {
            Self::Closed { failures } if failures + 1 < limits.failures => Self::Closed { failures: failures + 1 },
            Self::Closed { .. } | Self::HalfOpen => open,
            // What was under way when it opened says nothing new.
            Self::Open { .. } => *self,
        };
    }

    pub fn state(self) -> BreakerState {
        match self {
            Self::Closed { .. } => BreakerState::Closed,
            Self::Open { .. } => BreakerState::Open,
            Self::HalfOpen => BreakerState::HalfOpen,
        }
    }
}
