//! A notification after a change, with the change that made it so.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::schema;
use crate::{Event, Labels, Schema, Severity, Timestamp, identity, topics};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NotificationState {
    Open,
    Acknowledged,
    Snoozed,
    Resolved,
    #[serde(other)]
    Unknown,
}

/// Who did what, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// `opened`, `folded`, `acknowledged`, `resolved`, …
    pub action: String,
    /// A service, or the name of an API key.
    pub actor: String,
    pub reason: Option<String>,
    pub trace_id: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    pub tenant: String,
    pub notification_id: String,
    /// 1 at first, without holes.
    pub version: i64,
    pub kind: String,
    pub state: NotificationState,
    pub severity: Severity,
    pub device_id: Option<String>,
    pub group_id: Option<String>,
    pub title: String,
    pub body: String,
    pub dedup_key: String,
    pub occurrences: i64,
    pub opened_at: Timestamp,
    pub updated_at: Timestamp,
    pub resolved_at: Option<Timestamp>,
    pub snoozed_until: Option<Timestamp>,
    pub acknowledged_by: Option<String>,
    pub suppressed_by: Option<String>,
    pub labels: Labels,
    pub links: Labels,
    pub change: Change,
    pub source_event_id: String,
}

impl Event for Notification {
    const SCHEMA: Schema = schema!("notification", "Notification", topics::NOTIFICATIONS);

    fn key(&self) -> String {
        self.notification_id.clone()
    }

    fn event_id(&self) -> Uuid {
        identity::uuid_of("notification", &[&self.notification_id, &self.version.to_string()])
    }

    fn time(&self) -> Timestamp {
        self.updated_at
    }

    fn subject(&self) -> &str {
        self.device_id.as_deref().unwrap_or_default()
    }
}
