use events::trace::TraceContext;
use events::{BreakerState, Command, CommandOutcome, CommandResult, OutboundCommand, Timestamp};
use serde::{Deserialize, Serialize};

use super::document;

/// A command, and what led to it: everything said of it later continues that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    pub command: Command,
    pub chain: Chain,
}

/// Where the command stands in its chain of events and in its trace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    pub event_id: Option<String>,
    pub correlation_id: Option<String>,
    pub trace: Option<TraceContext>,
}

impl Task {
    /// About so many bytes of state.
    pub(super) fn size(&self) -> usize {
        let Command { name, arguments, desired_state, .. } = &self.command;
        name.len() + arguments.len() + desired_state.as_ref().map_or(0, String::len) + 512
    }

    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        self.command.expires_at <= now
    }

    /// Whether the device reports what this command asks for.
    pub(super) fn is_satisfied(&self, reported: &str) -> bool {
        self.command.desired_state.as_deref().is_some_and(|desired| document::satisfies(reported, desired))
    }

    pub(super) fn outbound(&self, attempt: i32, sent_at: Timestamp, expires_at: Timestamp) -> OutboundCommand {
        let Command { tenant, command_id, device_id, name, arguments, desired_state, issued_at, .. } = self.command.clone();
        OutboundCommand { tenant, command_id, device_id, name, arguments, desired_state, attempt, issued_at, sent_at, expires_at }
    }

    pub(super) fn result(
        &self,
        outcome: CommandOutcome,
        detail: String,
        attempt: i32,
        breaker: BreakerState,
        at: Timestamp,
    ) -> CommandResult {
        let Command { tenant, command_id, device_id, name, scene_id, .. } = self.command.clone();
        CommandResult { tenant, command_id, device_id, name, scene_id, outcome, detail, attempt, breaker, at }
    }
}
