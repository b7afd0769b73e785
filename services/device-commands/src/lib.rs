//! device-commands: what was decided reaches a device, once, and is verified.
//!
//! `domain/` decides: each device's commands, reported state and circuit breaker. `operator.rs` puts it on the stream runtime.

pub mod app;
pub mod config;
pub mod domain;
pub mod operator;

pub use config::Config;

/// What this service is called and how it is configured.
pub const DEFINITION: service::Definition = service::Definition {
    name: "device-commands",
    about: "Sends commands to devices and verifies what became of them.",
    defaults: config::DEFAULTS,
};
