//! The runtime against real Kafka and registry.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]

mod batch;
mod beside;
mod busy;
mod driver;
mod fuzz;
mod introductions;
mod operator;
mod side_by_side;
mod sink;
mod source;
mod spool;
mod takeover;
mod wall_clock;
