//! Finds what is unusual in each device's readings: causal features in Rust, a small ONNX network, a score that means the
//! same everywhere, and one anomaly opened and closed per excursion.

pub mod adapters;
pub mod app;
pub mod cli;
pub mod commands;
pub mod config;
pub mod domain;
mod reload;
pub mod stages;

pub use config::Config;

/// What this service is called and how it is configured.
pub const DEFINITION: service::Definition = service::Definition {
    name: "anomaly-detector",
    about: "Scores readings in the context of their device's recent ones.",
    defaults: config::DEFAULTS,
};
