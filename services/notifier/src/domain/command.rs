//! What people may do with a notification, and from which state.

use events::{Change, Notification, NotificationState, Timestamp};

use super::lifecycle::Cause;

/// Who ends a snooze whose time has come.
pub const CLOCK: &str = "notifier";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Acknowledge,
    Unacknowledge,
    /// Quiet until then, whatever comes short of a rise in severity. Of a snooze: another end.
    Snooze {
        until: Timestamp,
    },
    Unsnooze,
    /// The time of a snooze has come; nobody asks for it.
    EndSnooze,
    Resolve,
    Reopen,
}

/// An action, with who asks for it and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    pub action: Action,
    /// Name of the API key.
    pub by: String,
    pub reason: Option<String>,
    /// The version the asker has seen; `None`: any.
    pub expected_version: Option<i64>,
}

/// Why a command was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the notification is at version {current}, not {expected}")]
    Stale { expected: i64, current: i64 },
    #[error("a notification that is {state:?} cannot be {}", action.past())]
    Illegal { action: Action, state: NotificationState },
    #[error("a snooze ends in the future; {until} is past")]
    Past { until: Timestamp },
    /// Only `reopen` meets this: what it would bring back has a successor.
    #[error("another notification of the same key is unresolved")]
    Succeeded,
}

impl Action {
    /// As `Change::action` names it.
    pub const fn past(self) -> &'static str {
        match self {
            Self::Acknowledge => "acknowledged",
            Self::Unacknowledge => "unacknowledged",
            Self::Snooze { .. } => "snoozed",
            Self::Unsnooze => "unsnoozed",
            Self::EndSnooze => "snooze_ended",
            Self::Resolve => "resolved",
            Self::Reopen => "reopened",
        }
    }

    const fn leads_to(self, from: NotificationState) -> Option<NotificationState> {
        use NotificationState::{Acknowledged, Open, Resolved, Snoozed, Unknown};
        match (self, from) {
            (Self::Acknowledge, Open | Snoozed) => Some(Acknowledged),
            (Self::Unacknowledge, Acknowledged) | (Self::Unsnooze | Self::EndSnooze, Snoozed) | (Self::Reopen, Resolved) => Some(Open),
            (Self::Snooze { .. }, Open | Acknowledged | Snoozed) => Some(Snoozed),
            (Self::Resolve, Open | Acknowledged | Snoozed | Unknown) => Some(Resolved),
            _ => None,
        }
    }
}

impl Command {
    /// The version that `current` becomes.
    pub fn apply(&self, current: &Notification, cause: &Cause) -> Result<Notification, Refused> {
        if let Some(expected) = self.expected_version.filter(|expected| *expected != current.version) {
            return Err(Refused::Stale { expected, current: current.version });
        }
        let action = self.action;
        let state = action.leads_to(current.state).ok_or(Refused::Illegal { action, state: current.state })?;
        let at = cause.at.max(current.updated_at);
        let until = match action {
            Action::Snooze { until } if until <= cause.at => return Err(Refused::Past { until }),
            Action::Snooze { until } => Some(until),
            _ => None,
        };
        Ok(Notification {
            version: current.version + 1,
            state,
            updated_at: at,
            resolved_at: (state == NotificationState::Resolved).then_some(at),
            snoozed_until: until,
            acknowledged_by: match action {
                Action::Acknowledge => Some(self.by.clone()),
                Action::Resolve => current.acknowledged_by.clone(),
                _ => None,
            },
            change: Change {
                action: action.past().to_owned(),
                actor: self.by.clone(),
                reason: self.reason.clone(),
                trace_id: cause.trace_id.clone(),
            },
            source_event_id: cause.event_id.to_string(),
            ..current.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::lifecycle::Subject;
    use crate::domain::lifecycle::examples::{at, cause, firing};
    use crate::domain::signal::Signal;

    use super::*;

    fn opened() -> Notification {
        Subject::default().apply(&Signal::of_alert(&firing()).unwrap(), &cause(0)).unwrap()
    }

    fn command(action: Action) -> Command {
        Command { action, by: "on-call".into(), reason: Some("seen".into()), expected_version: None }
    }

    #[test]
    fn every_action_can_be_undone() {
        let mut current = opened();
        for (action, state, by) in [
            (Action::Acknowledge, NotificationState::Acknowledged, Some("on-call")),
            (Action::Unacknowledge, NotificationState::Open, None),
            (Action::Acknowledge, NotificationState::Acknowledged, Some("on-call")),
            (Action::Resolve, NotificationState::Resolved, Some("on-call")),
            (Action::Reopen, NotificationState::Open, None),
            (Action::Snooze { until: at(60) }, NotificationState::Snoozed, None),
            (Action::Snooze { until: at(90) }, NotificationState::Snoozed, None),
            (Action::Unsnooze, NotificationState::Open, None),
            (Action::Snooze { until: at(60) }, NotificationState::Snoozed, None),
            (Action::EndSnooze, NotificationState::Open, None),
        ] {
            let next = command(action).apply(&current, &cause(5)).unwrap();
            assert_eq!((next.state, next.acknowledged_by.as_deref(), next.version), (state, by, current.version + 1), "{action:?}");
            assert_eq!((next.change.action.as_str(), next.change.actor.as_str()), (action.past(), "on-call"));
            assert_eq!(next.resolved_at, (action == Action::Resolve).then_some(at(5)));
            assert_eq!(next.snoozed_until, if let Action::Snooze { until } = action { Some(until) } else { None });
            current = next;
        }
    }

    #[test]
    fn a_stale_version_is_refused_before_anything_else() {
        let stale = Command { expected_version: Some(7), ..command(Action::Reopen) };
        assert_eq!(stale.apply(&opened(), &cause(1)), Err(Refused::Stale { expected: 7, current: 1 }));
    }

    #[test]
    fn an_action_that_leads_nowhere_is_refused() {
        let open = opened();
        for action in [Action::Unacknowledge, Action::Unsnooze, Action::EndSnooze, Action::Reopen] {
            let state = NotificationState::Open;
            assert_eq!(command(action).apply(&open, &cause(1)), Err(Refused::Illegal { action, state }));
        }
        let resolved = command(Action::Resolve).apply(&open, &cause(1)).unwrap();
        assert!(command(Action::Resolve).apply(&resolved, &cause(2)).is_err());
        assert!(command(Action::Acknowledge).apply(&resolved, &cause(2)).is_err());
        assert!(command(Action::Snooze { until: at(60) }).apply(&resolved, &cause(2)).is_err());
        let past = command(Action::Snooze { until: at(2) });
        assert_eq!(past.apply(&open, &cause(2)), Err(Refused::Past { until: at(2) }));
    }
}
