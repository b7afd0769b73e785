//! A device's timeline as JSON.

use events::{Change, DeviceState, NotificationState, Severity};
use serde::Serialize;
use utoipa::ToSchema;

use super::device_document::DeviceStateSymbol;
use super::document::{ChangeDocument, Rfc3339, SeveritySymbol, StateSymbol};
use super::examples;

/// Something that happened to a device.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = TimelineEntry, example = examples::timeline_entry)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TimelineDocument {
    /// Its connection changed.
    Status {
        #[schema(value_type = String, format = DateTime)]
        at: Rfc3339,
        #[schema(value_type = DeviceStateSymbol)]
        state: DeviceState,
        /// birth, will, retired, `broker_lost`; others may follow.
        reason: Option<String>,
    },
    /// One of its notifications got another version.
    Notification {
        /// When the version was made.
        #[schema(value_type = String, format = DateTime)]
        at: Rfc3339,
        #[schema(value_type = String, format = Uuid)]
        notification_id: String,
        version: i64,
        kind: String,
        #[schema(value_type = StateSymbol)]
        state: NotificationState,
        #[schema(value_type = SeveritySymbol)]
        severity: Severity,
        /// As it is now.
        title: String,
        #[schema(value_type = ChangeDocument)]
        change: Change,
    },
}
