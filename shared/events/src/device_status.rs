//! Whether a device is connected.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::schema;
use crate::{Event, Schema, Timestamp, identity, topics};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeviceState {
    Online,
    Offline,
    Retired,
    #[serde(other)]
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceStatus {
    pub tenant: String,
    pub device_id: String,
    pub state: DeviceState,
    /// `birth`, `will`, `retired`, …
    pub reason: String,
    pub changed_at: Timestamp,
}

impl Event for DeviceStatus {
    const SCHEMA: Schema = schema!("device-status", "DeviceStatus", topics::DEVICE_STATUS);

    fn key(&self) -> String {
        identity::kafka_key(&self.tenant, &self.device_id)
    }

    fn event_id(&self) -> Uuid {
        let changed_at = self.changed_at.as_micros().to_string();
        identity::uuid_of("device-status", &[&self.tenant, &self.device_id, &format!("{:?}", self.state), &self.reason, &changed_at])
    }

    fn time(&self) -> Timestamp {
        self.changed_at
    }

    fn subject(&self) -> &str {
        &self.device_id
    }
}
