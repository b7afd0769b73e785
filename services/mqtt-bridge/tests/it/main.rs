//! The bridge between a Mosquitto of its own and the real Kafka and registry.
//!
//! Needs what `scripts/infra env` prints.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a failing test panics, and runs its own tasks"
)]

mod blobs;
mod bridge;
mod commands;
mod connection;
mod device;
mod faults;
mod memory;
mod readings;
mod redrive;
mod rejects;
mod session;
mod state;
mod status;
mod trace;
mod wire;
