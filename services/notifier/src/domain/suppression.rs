//! What keeps a notification quiet: a silence, or its device being offline.

use std::collections::BTreeMap;

use events::{Change, Labels, Notification, Timestamp};

use super::command::CLOCK;
use super::lifecycle::{Cause, is_unresolved};
use super::signal::kind;
use super::silence::Silence;

/// Whether `source` mutes what is of this kind about a device: one that is offline mutes everything else about it.
pub fn inhibits(source: &Notification, tenant: &str, kind: Option<&str>, device_id: Option<&str>) -> bool {
    source.kind == kind::DEVICE_OFFLINE
        && kind != Some(kind::DEVICE_OFFLINE)
        && is_unresolved(source)
        && device_id.is_some()
        && (source.tenant.as_str(), source.device_id.as_deref()) == (tenant, device_id)
}

/// What keeps a notification quiet now, as `suppressed_by` names it: `silence/NAME`, else `notification/ID`.
pub fn suppressor(
    target: &Notification,
    labels: &Labels,
    silences: &BTreeMap<String, Silence>,
    offline: &[Notification],
    now: Timestamp,
) -> Option<String> {
    let silence = silences.iter().find(|(_, silence)| silence.covers(labels, now)).map(|(name, _)| format!("silence/{name}"));
    let about = (target.tenant.as_str(), Some(target.kind.as_str()), target.device_id.as_deref());
    let inhibitor = || offline.iter().find(|source| inhibits(source, about.0, about.1, about.2));
    silence.or_else(|| inhibitor().map(|source| format!("notification/{}", source.notification_id)))
}

/// The version that says what keeps a notification quiet; `None` when it says so already.
pub fn marked(current: &Notification, by: Option<&str>, cause: &Cause) -> Option<Notification> {
    if current.suppressed_by.as_deref() == by || !is_unresolved(current) {
        return None;
    }
    let action = if by.is_some() { "suppressed" } else { "unsuppressed" };
    Some(Notification {
        version: current.version + 1,
        updated_at: cause.at.max(current.updated_at),
        suppressed_by: by.map(str::to_owned),
        change: Change {
            action: action.to_owned(),
            actor: CLOCK.to_owned(),
            reason: by.or(current.suppressed_by.as_deref()).map(str::to_owned),
            trace_id: cause.trace_id.clone(),
        },
        source_event_id: cause.event_id.to_string(),
        ..current.clone()
    })
}

#[cfg(test)]
mod tests {
    use events::NotificationState;

    use super::*;
    use crate::domain::lifecycle::Subject;
    use crate::domain::lifecycle::examples::{at, cause, firing};
    use crate::domain::matcher::labels_of;
    use crate::domain::signal::Signal;

    fn alert() -> Notification {
        Subject::default().apply(&Signal::of_alert(&firing()).unwrap(), &cause(0)).unwrap()
    }

    #[test]
    fn an_offline_device_mutes_its_alerts_and_nobody_elses() {
        let offline = Notification { kind: kind::DEVICE_OFFLINE.into(), notification_id: "off".into(), ..alert() };
        let other = Notification { device_id: Some("sensor-02".into()), ..alert() };
        let stranger = Notification { tenant: "acme".into(), ..alert() };
        let back = Notification { state: NotificationState::Resolved, ..offline.clone() };
        let inhibits = |source: &Notification, target: &Notification| {
            super::inhibits(source, &target.tenant, Some(&target.kind), target.device_id.as_deref())
        };
        assert!(inhibits(&offline, &alert()));
        for (source, target) in [(&offline, &other), (&offline, &stranger), (&back, &alert()), (&offline, &offline), (&alert(), &other)] {
            assert!(!inhibits(source, target));
        }
        let by = suppressor(&alert(), &labels_of(&alert()), &BTreeMap::new(), &[back, offline], at(0));
        assert_eq!(by.as_deref(), Some("notification/off"));
    }

    #[test]
    fn what_keeps_it_quiet_is_a_version_and_is_said_once() {
        let quiet = marked(&alert(), Some("silence/works"), &cause(1)).unwrap();
        assert_eq!((quiet.version, quiet.change.action.as_str(), quiet.suppressed_by.as_deref()), (2, "suppressed", Some("silence/works")));
        assert_eq!(marked(&quiet, Some("silence/works"), &cause(2)), None);
        let loud = marked(&quiet, None, &cause(3)).unwrap();
        assert_eq!((loud.version, loud.change.action.as_str(), loud.suppressed_by), (3, "unsuppressed", None));
        assert_eq!(loud.change.reason.as_deref(), Some("silence/works"));
    }
}
