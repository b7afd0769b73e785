//! Device messages from MQTT into Kafka: readings, device status, reported states, and whatever could not be read to the
//! dead-letter queue. And commands the other way.
//!
//! Guarantees: a message is acknowledged to the broker after Kafka acknowledged all of its records, in the order the
//! messages came, and never on another connection than the one it came on. Refuses: to drop a message at `QoS` 1 or 2.

pub mod adapters;
pub mod app;
pub mod codec;
pub mod config;
pub mod domain;

/// Folder, binary, consumer group and OpenTelemetry service name.
pub const NAME: &str = "mqtt-bridge";

/// The stage that takes commands to the devices: consumer group and name of its retry and dead-letter topics.
pub const COMMANDS: &str = "mqtt-bridge-commands";

pub const DEFINITION: service::Definition = service::Definition {
    name: NAME,
    about: "Takes device messages from MQTT into Kafka, and commands to the devices.",
    defaults: config::DEFAULTS,
};
