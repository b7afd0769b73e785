//! temperature-alert against real Kafka and registry.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "a failing test panics")]

mod alerts;
mod chaos;
mod commands;
mod driver;
mod formats;
mod fuzz;
mod refusals;
mod reload;
mod rules;
mod says;
