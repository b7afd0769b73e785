//! What receivers are sent: `{type, group_key, notifications[], truncated}`, or the same as a Slack message.

use events::{Notification, NotificationState, Severity};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::document::NotificationDocument;
use super::examples;
use crate::domain::symbol;
use crate::domain::webhook::Format;

/// Notifications of a delivery at most; the others are counted.
const MOST: usize = 100;
/// Notifications that a message for people names.
const NAMED: usize = 10;

/// Why there is a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(rename_all = "lowercase")]
pub enum DeliveryType {
    /// A group has news, an end, or is repeated.
    Notifications,
    /// What was held back because the receiver had its share of the minute.
    Summary,
    /// Nobody acknowledged in time.
    Escalation,
    /// All is well; when it stays away, it is not.
    Heartbeat,
    /// Someone asked for it.
    Test,
}

/// The body of a delivery.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Delivery, example = json!({
    "type": "notifications", "receiver": "ops", "reason": "new",
    "group_key": "/{}:{\"group_id\":\"cold-room-2\",\"kind\":\"alert\",\"tenant\":\"default\"}",
    "notifications": [examples::notification()], "truncated": 0
}))]
pub struct DeliveryDocument {
    pub r#type: DeliveryType,
    /// Who it is for; null for a test.
    pub receiver: Option<String>,
    /// `new`, `resolved` or `repeated`, for a group.
    pub reason: Option<String>,
    /// The same for every delivery of a group.
    pub group_key: Option<String>,
    /// As they are now; 100 at most.
    pub notifications: Vec<NotificationDocument>,
    /// Notifications that are left out.
    pub truncated: usize,
}

impl DeliveryDocument {
    pub fn new(r#type: DeliveryType, receiver: Option<&str>) -> Self {
        Self { r#type, receiver: receiver.map(str::to_owned), reason: None, group_key: None, notifications: Vec::new(), truncated: 0 }
    }

    /// With these notifications, as far as they fit: the gravest first.
    #[must_use]
    pub fn about(self, notifications: &[&Notification]) -> Self {
        let mut sorted = notifications.to_vec();
        sorted.sort_by_key(|notification| {
            let resolved = notification.state == NotificationState::Resolved;
            (resolved, std::cmp::Reverse(notification.severity), notification.opened_at, notification.notification_id.clone())
        });
        let truncated = sorted.len().saturating_sub(MOST);
        let notifications = sorted.into_iter().take(MOST).map(NotificationDocument::from).collect();
        Self { notifications, truncated, ..self }
    }

    /// `type`, as a column holds it.
    pub fn type_name(&self) -> String {
        symbol(&self.r#type)
    }

    /// The bytes that are posted.
    pub fn body(&self, format: Format) -> String {
        match format {
            Format::Standard => serde_json::to_string(self).unwrap_or_default(),
            Format::Slack => json!({ "text": self.message() }).to_string(),
        }
    }

    /// For people, in Slack's markup.
    fn message(&self) -> String {
        let headline = match self.r#type {
            DeliveryType::Notifications | DeliveryType::Summary | DeliveryType::Escalation => format!("*{}*", self.counted()),
            DeliveryType::Heartbeat => "Fieldwatch is watching.".to_owned(),
            DeliveryType::Test => "A test from Fieldwatch: this address works.".to_owned(),
        };
        let mut lines = vec![headline];
        lines.extend(self.notifications.iter().take(NAMED).map(|notification| {
            let sign = match (notification.state, notification.severity) {
                (NotificationState::Resolved, _) => ":white_check_mark:",
                (_, Severity::Critical) => ":red_circle:",
                (_, Severity::Warning) => ":large_orange_circle:",
                _ => ":large_blue_circle:",
            };
            format!("{sign} {}", escaped(&notification.title))
        }));
        let more = self.notifications.len().saturating_sub(NAMED) + self.truncated;
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        lines.join("\n")
    }

    /// How many, and why they are told.
    pub(super) fn counted(&self) -> String {
        let count = self.notifications.len() + self.truncated;
        let what = match (self.r#type, self.reason.as_deref()) {
            (DeliveryType::Summary, _) => "held back in the last minute",
            (DeliveryType::Escalation, _) => "not acknowledged",
            (_, Some("resolved")) => "resolved",
            (_, Some("repeated")) => "still open",
            _ => "new or changed",
        };
        format!("{count} notification{} {what}", if count == 1 { "" } else { "s" })
    }
}

/// Slack reads these three as markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notifications(count: usize) -> Vec<Notification> {
        let example: Notification = serde_json::from_str(include_str!("../../../../schemas/golden/notification-1.json")).unwrap();
        let state = NotificationState::Open;
        (0..count)
            .map(|index| Notification { notification_id: index.to_string(), title: format!("a <b> & {index}"), state, ..example.clone() })
            .collect()
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let all = notifications(130);
        let delivery = DeliveryDocument::new(DeliveryType::Summary, Some("ops")).about(&all.iter().collect::<Vec<_>>());
        assert_eq!((delivery.notifications.len(), delivery.truncated), (100, 30));
        let text: serde_json::Value = serde_json::from_str(&delivery.body(Format::Standard)).unwrap();
        assert_eq!((&text["type"], &text["truncated"]), (&json!("summary"), &json!(30)));
    }

    #[test]
    fn the_gravest_come_first_and_the_resolved_last() {
        let mut all = notifications(3);
        all[0].state = NotificationState::Resolved;
        all[1].severity = Severity::Warning;
        all[2].severity = Severity::Critical;
        let delivery = DeliveryDocument::new(DeliveryType::Notifications, None).about(&all.iter().collect::<Vec<_>>());
        let ids: Vec<&str> = delivery.notifications.iter().map(|notification| notification.notification_id.as_str()).collect();
        assert_eq!(ids, ["2", "1", "0"]);
    }

    #[test]
    fn a_message_for_people_is_short_and_cannot_be_marked_up() {
        let all = notifications(12);
        let delivery = DeliveryDocument::new(DeliveryType::Escalation, Some("ops")).about(&all.iter().collect::<Vec<_>>());
        let body: serde_json::Value = serde_json::from_str(&delivery.body(Format::Slack)).unwrap();
        let lines: Vec<&str> = body["text"].as_str().unwrap().lines().collect();
        assert_eq!((lines[0], lines.len(), lines[11]), ("*12 notifications not acknowledged*", 12, "and 2 more"));
        assert!(lines[1].ends_with("a &lt;b&gt; &amp; 0"), "{}", lines[1]);
    }
}
