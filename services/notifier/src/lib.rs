//! The notifier: alerts, anomalies and device states become notifications people can work with.
//!
//! [`domain`] decides, [`adapters`] keep (Postgres), hear (Kafka) and tell (HTTP, event streams), [`app`] wires.

pub mod adapters;
pub mod app;
pub mod commands;
pub mod config;
pub mod domain;

/// Folder, binary, consumer group and OpenTelemetry service name.
pub const NAME: &str = "notifier";
