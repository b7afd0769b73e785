//! MQTT on one side, Kafka on the other.

mod blobs;
mod commands;
mod in_flight;
mod intake;
mod kafka_watch;
mod message;
pub mod mqtt;
mod reader;
mod records;
mod redrive;

pub use blobs::{BlobFolder, BlobStore};
pub use commands::Commands;
pub use in_flight::InFlight;
pub use intake::{Intake, Receipt};
pub use kafka_watch::KafkaWatch;
pub use reader::MqttReader;
pub use records::{Records, RecordsLater};
pub use redrive::Redrive;
