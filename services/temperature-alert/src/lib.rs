//! temperature-alert: watches readings by rules; one alert per device, rule and excursion.
//!
//! `domain/` decides: rules and each device's state. `operator.rs` puts it on the stream runtime.

pub mod app;
pub mod commands;
pub mod config;
pub mod domain;
pub mod language;
pub mod operator;
mod reload;
pub mod rule_tests;

pub use config::Config;

/// What this service is called and how it is configured.
pub const DEFINITION: service::Definition = service::Definition {
    name: "temperature-alert",
    about: "Watches readings by rules and tells when one is broken.",
    defaults: config::DEFAULTS,
};
