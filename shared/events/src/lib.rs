//! What the services say to each other: typed events, identities, units, headers and the Avro codec.
//!
//! Guarantees: a type here and its file in `schemas/` agree (a test compares them); an event's identity is a function
//! of what it says, so a redelivery names the same event. Refuses: I/O, clocks, Kafka.

mod alert;
mod anomaly;
mod blob;
pub mod codec;
mod command;
mod device_status;
mod event;
pub mod headers;
pub mod identity;
mod notification;
pub mod partitioner;
mod reading;
mod seen;
mod sensor_health;
mod time;
pub mod topics;
pub mod trace;
mod uuid_text;

pub use alert::{AlertReason, AlertState, Evidence, Severity, TemperatureAlert};
pub use anomaly::{Aggregate, Anomaly, AnomalyState, Contribution, Model};
pub use blob::Blob;
pub use command::{BreakerState, Command, CommandOutcome, CommandResult, OutboundCommand, ReportedState, Scene, SceneCommand};
pub use device_status::{DeviceState, DeviceStatus};
pub use event::{Event, SCHEMAS, Schema};
pub use identity::{DEFAULT_TENANT, DeviceKey};
pub use notification::{Change, Notification, NotificationState};
pub use reading::{ATTRIBUTE_LATE, ATTRIBUTE_RETAINED, ATTRIBUTE_TIME, Reading, UNIT_CELSIUS};
pub use seen::{Arrival, SeenReadings};
pub use sensor_health::{HealthState, MetricHealth, SensorHealth};
pub use time::Timestamp;

/// String pairs of an event (`labels`, `attributes`, `links`); ordered, so that equal events are equal bytes.
pub type Labels = std::collections::BTreeMap<String, String>;
