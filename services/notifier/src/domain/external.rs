//! What others tell through the API: trouble of their own, or that someone in their tool is on it.

use std::borrow::Cow;

use events::{Labels, Severity, Timestamp};

use super::lifecycle::{Subject, is_unresolved};
use super::signal::{Effect, Signal, kind};

/// Trouble that someone else saw.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    pub tenant: String,
    pub dedup_key: String,
    pub severity: Severity,
    pub title: String,
    pub body: String,
    pub device_id: Option<String>,
    pub group_id: Option<String>,
    pub labels: Labels,
    pub runbook_url: Option<String>,
    /// Name of the API key.
    pub by: String,
    pub reason: Option<String>,
}

/// The key of a notification that others trigger: none that a service of the suite uses.
pub fn key_of(dedup_key: &str) -> String {
    let prefix = format!("{}/", kind::EXTERNAL);
    if dedup_key.starts_with(&prefix) { dedup_key.to_owned() } else { format!("{prefix}{dedup_key}") }
}

impl Trigger {
    /// As a signal: one more of the excursion that goes on, else the first of a new one.
    pub fn signal(&self, subject: &Subject, now: Timestamp) -> Signal {
        let goes_on = subject.current.as_ref().is_some_and(is_unresolved);
        let latest = subject.ledger.map(|ledger| ledger.changed_at.max(ledger.started_at));
        // Clocks of replicas differ; what came after is after.
        let at = latest.map_or(now, |latest| now.max(Timestamp::from_micros(latest.as_micros() + 1)));
        let started_at = subject.ledger.filter(|ledger| goes_on && !ledger.ended).map_or(at, |ledger| ledger.started_at);
        Signal {
            tenant: self.tenant.clone(),
            kind: kind::EXTERNAL,
            dedup_key: key_of(&self.dedup_key),
            excursion: started_at.as_micros().to_string(),
            effect: Effect::Triggers,
            severity: self.severity,
            device_id: self.device_id.clone(),
            device_state: None,
            group_id: self.group_id.clone(),
            title: self.title.clone(),
            body: self.body.clone(),
            labels: self.labels.clone(),
            runbook_url: self.runbook_url.clone(),
            started_at,
            changed_at: at,
            actor: Cow::Owned(self.by.clone()),
            reason: self.reason.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use events::NotificationState;

    use super::*;
    use crate::domain::command::{Action, Command};
    use crate::domain::lifecycle::examples::{at, cause};

    #[test]
    fn a_trigger_joins_what_is_unresolved_and_else_opens_another() {
        let trigger = Trigger {
            tenant: "default".into(),
            dedup_key: "door".into(),
            severity: Severity::Warning,
            title: "The door is open".into(),
            body: String::new(),
            device_id: None,
            group_id: None,
            labels: Labels::new(),
            runbook_url: None,
            by: "building".into(),
            reason: None,
        };
        let mut subject = Subject::default();
        let tell = |subject: &mut Subject, second| subject.apply(&trigger.signal(subject, at(second)), &cause(second)).unwrap();
        let first = tell(&mut subject, 5);
        assert_eq!((first.dedup_key.as_str(), first.change.actor.as_str(), first.version), ("external/door", "building", 1));
        // Even by a clock that is behind.
        let second = tell(&mut subject, 0);
        assert_eq!((&second.notification_id, second.version, second.occurrences), (&first.notification_id, 2, 2));
        let resolve = Command { action: Action::Resolve, by: "building".into(), reason: None, expected_version: None };
        subject.current = Some(resolve.apply(&second, &cause(9)).unwrap());
        let third = tell(&mut subject, 10);
        assert_ne!(third.notification_id, first.notification_id);
        assert_eq!((third.version, third.state), (1, NotificationState::Open));
        assert_eq!(key_of("external/door"), "external/door");
    }
}
