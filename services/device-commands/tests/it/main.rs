//! device-commands against real Kafka and registry.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "a failing test panics")]

mod chaos;
mod commands;
mod driver;
