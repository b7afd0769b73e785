//! Notifications as JSON: the names of `schemas/notification.avsc`, times in RFC 3339 UTC. What GET answers, what a
//! stream sends and what a row holds are this one object.

use events::{Change, Labels, Notification, NotificationState, Severity, Timestamp};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::examples;

/// A time as RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rfc3339(pub Timestamp);

impl Serialize for Rfc3339 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A notification as it is after its last change.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Notification, example = examples::notification)]
pub struct NotificationDocument {
    #[schema(value_type = String, format = Uuid)]
    pub notification_id: String,
    pub tenant: String,
    /// 1 at first, without holes.
    #[schema(minimum = 1)]
    pub version: i64,
    /// alert, anomaly, sensor-health, device-offline, pipeline, external, command; others may follow.
    pub kind: String,
    #[schema(value_type = StateSymbol)]
    pub state: NotificationState,
    #[schema(value_type = SeveritySymbol)]
    pub severity: Severity,
    pub device_id: Option<String>,
    /// Room, line or site the device belongs to.
    pub group_id: Option<String>,
    pub title: String,
    pub body: String,
    /// At most one notification of a tenant and key is unresolved.
    pub dedup_key: String,
    /// Events folded in.
    pub occurrences: i64,
    #[schema(value_type = String, format = DateTime)]
    pub opened_at: Rfc3339,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Rfc3339,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub resolved_at: Option<Rfc3339>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub snoozed_until: Option<Rfc3339>,
    pub acknowledged_by: Option<String>,
    /// Silence or inhibition that keeps it quiet.
    pub suppressed_by: Option<String>,
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub labels: Labels,
    /// runbook, trace, device.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub links: Labels,
    #[schema(value_type = ChangeDocument)]
    pub change: Change,
    /// `ce_id` of the event that caused the change.
    #[schema(value_type = String, format = Uuid)]
    pub source_event_id: String,
}

impl From<&Notification> for NotificationDocument {
    fn from(notification: &Notification) -> Self {
        let n = notification.clone();
        Self {
            notification_id: n.notification_id,
            tenant: n.tenant,
            version: n.version,
            kind: n.kind,
            state: n.state,
            severity: n.severity,
            device_id: n.device_id,
            group_id: n.group_id,
            title: n.title,
            body: n.body,
            dedup_key: n.dedup_key,
            occurrences: n.occurrences,
            opened_at: Rfc3339(n.opened_at),
            updated_at: Rfc3339(n.updated_at),
            resolved_at: n.resolved_at.map(Rfc3339),
            snoozed_until: n.snoozed_until.map(Rfc3339),
            acknowledged_by: n.acknowledged_by,
            suppressed_by: n.suppressed_by,
            labels: n.labels,
            links: n.links,
            change: n.change,
            source_event_id: n.source_event_id,
        }
    }
}

/// One version in a notification's audit log.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = NotificationEvent, example = examples::event)]
pub struct EventDocument {
    pub version: i64,
    #[schema(value_type = String, format = DateTime)]
    pub at: Rfc3339,
    #[schema(value_type = StateSymbol)]
    pub state: NotificationState,
    #[schema(value_type = SeveritySymbol)]
    pub severity: Severity,
    pub occurrences: i64,
    #[schema(value_type = ChangeDocument)]
    pub change: Change,
    #[schema(value_type = String, format = Uuid)]
    pub source_event_id: String,
    /// Until when this version is snoozed.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub snoozed_until: Option<Rfc3339>,
}

/// How many notifications there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Counts, example = examples::counts)]
pub struct CountsDocument {
    pub total: i64,
    pub unresolved: i64,
    pub by_state: CountsByState,
    /// Unresolved ones only.
    pub by_severity: CountsBySeverity,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub struct CountsByState {
    pub open: i64,
    pub acknowledged: i64,
    pub snoozed: i64,
    pub resolved: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub struct CountsBySeverity {
    pub info: i64,
    pub warning: i64,
    pub critical: i64,
    pub unknown: i64,
}

impl CountsDocument {
    /// Adds `count` notifications of one state and severity.
    pub fn add(&mut self, state: NotificationState, severity: Severity, count: i64) {
        self.total += count;
        let by_state = match state {
            NotificationState::Acknowledged => &mut self.by_state.acknowledged,
            NotificationState::Snoozed => &mut self.by_state.snoozed,
            NotificationState::Resolved => &mut self.by_state.resolved,
            NotificationState::Open | NotificationState::Unknown => &mut self.by_state.open,
        };
        *by_state += count;
        if state == NotificationState::Resolved {
            return;
        }
        self.unresolved += count;
        let by_severity = match severity {
            Severity::Info => &mut self.by_severity.info,
            Severity::Warning => &mut self.by_severity.warning,
            Severity::Critical => &mut self.by_severity.critical,
            Severity::Unknown => &mut self.by_severity.unknown,
        };
        *by_severity += count;
    }
}

/// Who did what, and why.
#[derive(ToSchema)]
#[schema(as = Change)]
#[expect(dead_code, reason = "the schema of events::Change, which knows nothing of OpenAPI")]
pub struct ChangeDocument {
    /// opened, folded, raised, acknowledged, unacknowledged, snoozed, unsnoozed, `snooze_ended`, resolved, reopened; others may follow.
    action: String,
    /// A service, or the name of an API key.
    actor: String,
    reason: Option<String>,
    /// 32 hex digits.
    trace_id: Option<String>,
}

/// State of a notification: the schema of [`NotificationState`], which knows nothing of `OpenAPI`.
#[derive(ToSchema)]
#[schema(as = State, rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StateSymbol {
    Open,
    Acknowledged,
    Snoozed,
    Resolved,
    Unknown,
}

/// How bad it is: the schema of [`Severity`], which knows nothing of `OpenAPI`.
#[derive(ToSchema)]
#[schema(as = Severity, rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SeveritySymbol {
    Info,
    Warning,
    Critical,
    Unknown,
}
