//! Topic names; `schemas/topics.yaml` holds what else is known of each.

pub const READINGS: &str = "telemetry.readings.v1";
pub const DEVICE_STATUS: &str = "telemetry.device-status.v1";
pub const BLOBS: &str = "telemetry.blobs.v1";
pub const TEMPERATURE_ALERTS: &str = "alerts.temperature.v1";
pub const ANOMALIES: &str = "anomalies.v1";
pub const AGGREGATES: &str = "telemetry.aggregates.v1";
pub const SENSOR_HEALTH: &str = "sensor-health.v1";
pub const NOTIFICATIONS: &str = "notifications.v1";
pub const COMMANDS: &str = "commands.v1";
pub const SCENES: &str = "scenes.v1";
pub const OUTBOUND_COMMANDS: &str = "commands.outbound.v1";
pub const DEVICE_STATE: &str = "telemetry.device-state.v1";
pub const COMMAND_RESULTS: &str = "command-results.v1";

/// The file that names every topic.
pub const CATALOGUE: &str = include_str!("../../../schemas/topics.yaml");

pub fn dlq(service: &str) -> String {
    format!("dlq.{service}.v1")
}

pub fn retry(service: &str) -> String {
    format!("retry.{service}.v1")
}

pub fn state(stage: &str) -> String {
    format!("state.{stage}.v1")
}
