//! A change of an alert's state, with the evidence for it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::schema;
use crate::{Event, Labels, Schema, Timestamp, identity, topics};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Severity {
    Info = 1,
    Warning = 2,
    Critical = 3,
    /// A severity of a later release; lowest, so that it never raises anything.
    #[serde(other)]
    Unknown = 0,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AlertState {
    Firing,
    Resolved,
    NoData,
    #[serde(other)]
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AlertReason {
    Crossed,
    Cleared,
    Silent,
    SeverityChanged,
    RuleRemoved,
    DeviceRetired,
    Suppressed,
    SourceSilent,
    #[serde(other)]
    Unknown,
}

/// A reading that led to the change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    pub at: Timestamp,
    pub value: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TemperatureAlert {
    pub tenant: String,
    /// `UUIDv5`: one per excursion, see [`identity::excursion_id`].
    pub alert_id: String,
    pub rule_id: String,
    pub rule_version: String,
    pub device_id: String,
    pub group_id: Option<String>,
    pub state: AlertState,
    pub severity: Severity,
    pub reason: AlertReason,
    pub metric: String,
    pub value: Option<f64>,
    pub unit: String,
    pub threshold: Option<f64>,
    pub clear_threshold: Option<f64>,
    pub evidence: Vec<Evidence>,
    pub started_at: Timestamp,
    pub changed_at: Timestamp,
    pub summary: String,
    pub labels: Labels,
    pub runbook_url: Option<String>,
}

impl Event for TemperatureAlert {
    const SCHEMA: Schema = schema!("temperature-alert", "TemperatureAlert", topics::TEMPERATURE_ALERTS);

    fn key(&self) -> String {
        identity::kafka_key(&self.tenant, &self.device_id)
    }

    fn event_id(&self) -> Uuid {
        let changed_at = self.changed_at.as_micros().to_string();
        identity::uuid_of("alert-change", &[&self.alert_id, &format!("{:?}", self.state), &format!("{:?}", self.severity), &changed_at])
    }

    fn time(&self) -> Timestamp {
        self.changed_at
    }

    fn subject(&self) -> &str {
        &self.device_id
    }
}
