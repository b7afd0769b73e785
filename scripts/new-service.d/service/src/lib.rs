//! @NAME@: says when a device's value is higher than any before.
//!
//! `domain/` decides; `adapters/` takes readings out of Kafka.

pub mod adapters;
pub mod app;
pub mod config;
pub mod domain;

pub use config::Config;

/// What this service is called and how it is configured.
pub const DEFINITION: service::Definition = service::Definition {
    name: "@NAME@",
    about: "Says when a device's value is higher than any before.",
    defaults: config::DEFAULTS,
};
