//! Which notifications someone wants to see.

use events::{Notification, NotificationState, Severity, Timestamp};

/// Every part that is given must hold; within a part one value must. Empty parts do not filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub states: Vec<NotificationState>,
    pub severities: Vec<Severity>,
    pub kinds: Vec<String>,
    pub device_ids: Vec<String>,
    pub group_ids: Vec<String>,
    /// Name and value; all of them must be there.
    pub labels: Vec<(String, String)>,
    /// `updated_at` at or after.
    pub since: Option<Timestamp>,
    /// `updated_at` before.
    pub until: Option<Timestamp>,
    /// Part of title, body or device, whatever its case.
    pub text: Option<String>,
}

impl Filter {
    pub fn matches(&self, notification: &Notification) -> bool {
        let one_of =
            |wanted: &[String], value: Option<&str>| wanted.is_empty() || value.is_some_and(|value| wanted.iter().any(|w| w == value));
        (self.states.is_empty() || self.states.contains(&notification.state))
            && (self.severities.is_empty() || self.severities.contains(&notification.severity))
            && one_of(&self.kinds, Some(&notification.kind))
            && one_of(&self.device_ids, notification.device_id.as_deref())
            && one_of(&self.group_ids, notification.group_id.as_deref())
            && self.labels.iter().all(|(name, value)| notification.labels.get(name) == Some(value))
            && self.since.is_none_or(|since| notification.updated_at >= since)
            && self.until.is_none_or(|until| notification.updated_at < until)
            && self.text.as_deref().is_none_or(|text| contains(notification, text))
    }
}

fn contains(notification: &Notification, text: &str) -> bool {
    let text = text.to_lowercase();
    let device = notification.device_id.as_deref().unwrap_or_default();
    [notification.title.as_str(), &notification.body, device].iter().any(|part| part.to_lowercase().contains(&text))
}

#[cfg(test)]
mod tests {
    use crate::domain::lifecycle::Subject;
    use crate::domain::lifecycle::examples::{at, cause, firing};
    use crate::domain::signal::Signal;

    use super::*;

    #[test]
    fn parts_must_all_hold_and_of_their_values_one() {
        let notification = Subject::default().apply(&Signal::of_alert(&firing()).unwrap(), &cause(0)).unwrap();
        let everything = Filter {
            states: vec![NotificationState::Open, NotificationState::Snoozed],
            severities: vec![Severity::Warning],
            kinds: vec!["alert".into()],
            device_ids: vec!["sensor-01".into(), "sensor-02".into()],
            group_ids: vec!["cold-room-2".into()],
            labels: Vec::new(),
            since: Some(at(0)),
            until: Some(at(1)),
            text: Some("ABOVE 28".into()),
        };
        assert!(Filter::default().matches(&notification));
        assert!(everything.matches(&notification));
        for broken in [
            Filter { states: vec![NotificationState::Resolved], ..everything.clone() },
            Filter { severities: vec![Severity::Critical], ..everything.clone() },
            Filter { kinds: vec!["anomaly".into()], ..everything.clone() },
            Filter { device_ids: vec!["sensor-03".into()], ..everything.clone() },
            Filter { group_ids: vec!["hall".into()], ..everything.clone() },
            Filter { labels: vec![("team".into(), "hall".into())], ..everything.clone() },
            Filter { since: Some(at(1)), ..everything.clone() },
            Filter { until: Some(at(0)), ..everything.clone() },
            Filter { text: Some("below".into()), ..everything.clone() },
        ] {
            assert!(!broken.matches(&notification), "{broken:?}");
        }
    }
}
