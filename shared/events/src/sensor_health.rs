//! How far each metric of a device can be trusted.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::schema;
use crate::{Event, Schema, Timestamp, identity, topics};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum HealthState {
    Healthy,
    Drifting,
    Stuck,
    #[serde(other)]
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricHealth {
    pub metric: String,
    pub state: HealthState,
    /// Weight of its signal, 0 to 1.
    pub weight: f64,
    /// Mean residual against the group, in the metric's unit.
    pub residual: Option<f64>,
    pub since: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SensorHealth {
    pub tenant: String,
    pub device_id: String,
    pub group_id: Option<String>,
    pub changed_at: Timestamp,
    pub metrics: Vec<MetricHealth>,
}

impl Event for SensorHealth {
    const SCHEMA: Schema = schema!("sensor-health", "SensorHealth", topics::SENSOR_HEALTH);

    fn key(&self) -> String {
        identity::kafka_key(&self.tenant, &self.device_id)
    }

    fn event_id(&self) -> Uuid {
        identity::uuid_of("sensor-health", &[&self.tenant, &self.device_id, &self.changed_at.as_micros().to_string()])
    }

    fn time(&self) -> Timestamp {
        self.changed_at
    }

    fn subject(&self) -> &str {
        &self.device_id
    }
}
