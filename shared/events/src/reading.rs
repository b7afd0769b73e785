//! One value of one metric measured by a device.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::schema;
use crate::{Event, Labels, Schema, Timestamp, identity, topics};

/// UCUM code of degrees Celsius.
pub const UNIT_CELSIUS: &str = "Cel";
/// Attribute of a reading that came as a retained message: it is old, operators ignore it.
pub const ATTRIBUTE_RETAINED: &str = "mqtt.retained";
/// Attribute of a reading that came out of order, or long after it was measured.
pub const ATTRIBUTE_LATE: &str = "late";
/// Attribute whose value `received` says that the device gave no time: `measured_at` is `received_at`.
pub const ATTRIBUTE_TIME: &str = "time";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    pub tenant: String,
    pub device_id: String,
    pub group_id: Option<String>,
    pub metric: String,
    /// In `unit`; always finite.
    pub value: f64,
    /// UCUM.
    pub unit: String,
    pub measured_at: Timestamp,
    pub received_at: Timestamp,
    pub sequence: Option<i64>,
    pub attributes: Labels,
}

impl Reading {
    /// Whether the value was measured now, and not kept by the broker from earlier.
    pub fn is_fresh(&self) -> bool {
        !self.attributes.contains_key(ATTRIBUTE_RETAINED)
    }
}

impl Event for Reading {
    const SCHEMA: Schema = schema!("reading", "Reading", topics::READINGS);

    fn key(&self) -> String {
        identity::kafka_key(&self.tenant, &self.device_id)
    }

    fn event_id(&self) -> Uuid {
        let measured_at = self.measured_at.as_micros().to_string();
        let sequence = self.sequence.map_or_else(String::new, |sequence| sequence.to_string());
        let value = self.value.to_bits().to_string();
        identity::uuid_of("reading", &[&self.tenant, &self.device_id, &self.metric, &measured_at, &sequence, &value])
    }

    fn time(&self) -> Timestamp {
        self.measured_at
    }

    fn subject(&self) -> &str {
        &self.device_id
    }
}
