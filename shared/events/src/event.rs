//! What every event type can say about itself.

use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::Timestamp;

/// The schema of one event type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schema {
    /// File name without its ending, e.g. `temperature-alert`.
    pub file: &'static str,
    /// Avro record name, e.g. `TemperatureAlert`.
    pub name: &'static str,
    /// `CloudEvents` type, e.g. `fieldwatch.temperature-alert.v1`.
    pub ce_type: &'static str,
    /// Topic without a prefix; its subject is `<topic>-value`.
    pub topic: &'static str,
    /// The Avro schema as JSON.
    pub json: &'static str,
}

macro_rules! schema {
    ($file:literal, $name:literal, $topic:expr) => {
        $crate::Schema {
            file: $file,
            name: $name,
            ce_type: concat!("fieldwatch.", $file, ".v1"),
            topic: $topic,
            json: include_str!(concat!("../../../schemas/", $file, ".avsc")),
        }
    };
}
pub(crate) use schema;

/// An event of the suite.
pub trait Event: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    const SCHEMA: Schema;

    /// Kafka key of the event's topic.
    fn key(&self) -> String;
    /// `ce_id`: the same for the same statement, however often it is made.
    fn event_id(&self) -> Uuid;
    /// `ce_time`: when what it tells happened.
    fn time(&self) -> Timestamp;
    /// `ce_subject`: the device id, where there is one.
    fn subject(&self) -> &str;
}

/// Every event type's schema.
pub const SCHEMAS: [Schema; 13] = [
    crate::Reading::SCHEMA,
    crate::DeviceStatus::SCHEMA,
    crate::Blob::SCHEMA,
    crate::TemperatureAlert::SCHEMA,
    crate::Anomaly::SCHEMA,
    crate::Aggregate::SCHEMA,
    crate::SensorHealth::SCHEMA,
    crate::Notification::SCHEMA,
    crate::Command::SCHEMA,
    crate::Scene::SCHEMA,
    crate::OutboundCommand::SCHEMA,
    crate::ReportedState::SCHEMA,
    crate::CommandResult::SCHEMA,
];
