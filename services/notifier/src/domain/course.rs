//! The course of a command: where it stands, and what a result makes of that.
//!
//! Guarantees: the first end counts. What comes late, again, or from a release that knows more outcomes changes nothing.

use events::CommandOutcome;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CommandState {
    /// Nothing was heard of it yet.
    Pending,
    /// Sent to the device.
    Accepted,
    Verified,
    Failed,
    TimedOut,
    Refused,
}

impl CommandState {
    pub const ALL: [Self; 6] = [Self::Pending, Self::Accepted, Self::Verified, Self::Failed, Self::TimedOut, Self::Refused];

    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Accepted)
    }

    /// What it becomes by an outcome; `None`: the outcome changes nothing. Accepted once more is the next attempt.
    #[must_use]
    pub const fn after(self, outcome: CommandOutcome) -> Option<Self> {
        if self.is_final() {
            return None;
        }
        match outcome {
            CommandOutcome::Accepted => Some(Self::Accepted),
            CommandOutcome::Verified => Some(Self::Verified),
            CommandOutcome::Failed => Some(Self::Failed),
            CommandOutcome::TimedOut => Some(Self::TimedOut),
            CommandOutcome::Refused => Some(Self::Refused),
            CommandOutcome::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OUTCOMES: [CommandOutcome; 6] = [
        CommandOutcome::Accepted,
        CommandOutcome::Verified,
        CommandOutcome::Failed,
        CommandOutcome::TimedOut,
        CommandOutcome::Refused,
        CommandOutcome::Unknown,
    ];

    proptest! {
        /// Results in any order and number: the state never goes back, and after its first end it stays.
        #[test]
        fn the_first_end_of_a_command_stays(outcomes in prop::collection::vec(prop::sample::select(OUTCOMES.to_vec()), 0..20)) {
            let mut state = CommandState::Pending;
            let mut first_end = None;
            for outcome in outcomes {
                if let Some(next) = state.after(outcome) {
                    prop_assert!(!state.is_final());
                    prop_assert!(next == CommandState::Accepted || next.is_final());
                    state = next;
                }
                first_end = first_end.or(state.is_final().then_some(state));
            }
            prop_assert_eq!(first_end.unwrap_or(state), state);
        }
    }
}
