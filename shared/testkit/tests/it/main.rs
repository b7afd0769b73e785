//! What no crate can test alone: the dependency rules, and the suite as processes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]

mod architecture;
mod suite;
