//! What signals make of notifications.
//!
//! Guarantees: at most one unresolved notification per (tenant, key); versions from 1 without holes; a late signal
//! changes nothing, whatever was redelivered or redriven. Repeats of one event are kept out by their ids, before.

use events::{Change, Labels, Notification, NotificationState, Severity, Timestamp};
use uuid::Uuid;

use super::signal::{Effect, Signal};

/// The link to the notification of the same key before this one.
const PREVIOUS: &str = "previous";

/// How far a key's source has come: its newest excursion, and the newest change within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ledger {
    pub started_at: Timestamp,
    pub changed_at: Timestamp,
    /// The source said that it is over.
    pub ended: bool,
}

/// All that is known of one (tenant, key).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Subject {
    pub ledger: Option<Ledger>,
    /// The unresolved notification, else the one resolved last.
    pub current: Option<Notification>,
}

/// What made a change, as far as the signal does not say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    pub event_id: Uuid,
    pub trace_id: Option<String>,
    /// When the notifier took it.
    pub at: Timestamp,
}

/// Where a signal stands in its source's history.
enum Order {
    Late,
    /// Within the newest excursion, which goes on.
    Same,
    Newer,
}

impl Subject {
    /// Applies a signal and returns the new version, if it made one.
    pub fn apply(&mut self, signal: &Signal, cause: &Cause) -> Option<Notification> {
        let order = self.order(signal);
        if matches!(order, Order::Late) {
            return None;
        }
        let ended = signal.effect == Effect::Clears;
        self.ledger = Some(Ledger { started_at: signal.started_at, changed_at: signal.changed_at, ended });
        let changed = match (&mut self.current, signal.effect, order) {
            (Some(current), Effect::Triggers, _) if is_unresolved(current) => fold(current, signal, cause),
            (Some(current), Effect::Clears, _) if is_unresolved(current) => resolve(current, signal, cause),
            (Some(current), Effect::Triggers, Order::Same) => rise_again(current, signal, cause)?,
            (current, Effect::Triggers, _) => {
                let previous = current.as_ref().map(|previous| previous.notification_id.clone());
                current.insert(open(signal, previous.as_deref(), cause))
            }
            (_, Effect::Clears, _) => return None,
        };
        Some(changed.clone())
    }

    fn order(&self, signal: &Signal) -> Order {
        let Some(ledger) = self.ledger else { return Order::Newer };
        if signal.started_at > ledger.started_at {
            return Order::Newer;
        }
        // Within an excursion the end is final, and counts whatever clock it was read from: a source that fell silent
        // is timed by the receiver, its recovery by the device.
        let goes_on = signal.started_at == ledger.started_at && !ledger.ended;
        let in_order = signal.effect == Effect::Clears || signal.changed_at >= ledger.changed_at;
        if goes_on && in_order { Order::Same } else { Order::Late }
    }
}

pub fn is_unresolved(notification: &Notification) -> bool {
    notification.state != NotificationState::Resolved
}

fn open(signal: &Signal, previous: Option<&str>, cause: &Cause) -> Notification {
    let mut links = links(signal);
    links.extend(previous.map(|id| (PREVIOUS.to_owned(), format!("/v1/notifications/{id}"))));
    Notification {
        tenant: signal.tenant.clone(),
        notification_id: signal.notification_id().to_string(),
        version: 1,
        kind: signal.kind.to_owned(),
        state: NotificationState::Open,
        severity: signal.severity,
        device_id: signal.device_id.clone(),
        group_id: signal.group_id.clone(),
        title: signal.title.clone(),
        body: signal.body.clone(),
        dedup_key: signal.dedup_key.clone(),
        occurrences: 1,
        opened_at: signal.changed_at,
        updated_at: cause.at,
        resolved_at: None,
        snoozed_until: None,
        acknowledged_by: None,
        suppressed_by: None,
        labels: signal.labels.clone(),
        links,
        change: change("opened", signal, cause),
        source_event_id: cause.event_id.to_string(),
    }
}

/// The newest trigger says how things are; whoever acknowledged stays named. A rise in severity ends a snooze.
fn fold<'a>(current: &'a mut Notification, signal: &Signal, cause: &Cause) -> &'a mut Notification {
    let raised = signal.severity > current.severity;
    if raised && current.state == NotificationState::Snoozed {
        current.state = NotificationState::Open;
        current.snoozed_until = None;
    }
    if signal.severity != Severity::Unknown {
        current.severity = signal.severity;
    }
    current.occurrences += 1;
    current.title.clone_from(&signal.title);
    current.body.clone_from(&signal.body);
    current.labels.clone_from(&signal.labels);
    current.group_id.clone_from(&signal.group_id);
    let previous = current.links.remove(PREVIOUS);
    current.links = links(signal);
    current.links.extend(previous.map(|link| (PREVIOUS.to_owned(), link)));
    step(current, if raised { "raised" } else { "folded" }, signal, cause)
}

/// The title keeps saying what it was about.
fn resolve<'a>(current: &'a mut Notification, signal: &Signal, cause: &Cause) -> &'a mut Notification {
    current.state = NotificationState::Resolved;
    current.resolved_at = Some(signal.changed_at.max(current.opened_at));
    current.snoozed_until = None;
    current.body.clone_from(&signal.body);
    step(current, "resolved", signal, cause)
}

/// Someone resolved it while its source goes on: only a rise in severity brings it back.
fn rise_again<'a>(current: &'a mut Notification, signal: &Signal, cause: &Cause) -> Option<&'a mut Notification> {
    if signal.severity <= current.severity {
        return None;
    }
    current.state = NotificationState::Open;
    current.resolved_at = None;
    current.acknowledged_by = None;
    Some(fold(current, signal, cause))
}

fn step<'a>(current: &'a mut Notification, action: &str, signal: &Signal, cause: &Cause) -> &'a mut Notification {
    current.version += 1;
    current.updated_at = cause.at.max(current.updated_at);
    current.change = change(action, signal, cause);
    current.source_event_id = cause.event_id.to_string();
    current
}

fn change(action: &str, signal: &Signal, cause: &Cause) -> Change {
    Change {
        action: action.to_owned(),
        actor: signal.actor.clone().into_owned(),
        reason: signal.reason.clone(),
        trace_id: cause.trace_id.clone(),
    }
}

fn links(signal: &Signal) -> Labels {
    signal.runbook_url.iter().map(|url| ("runbook".to_owned(), url.clone())).collect()
}

#[cfg(test)]
pub(crate) mod examples;
#[cfg(test)]
mod tests;
