//! The outbox against a real Postgres, one fresh database per test.
//!
//! Needs what `scripts/infra env` prints.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails by panicking, and runs its own tasks")]

mod database;
mod enqueue;
mod locks;
mod migrations;
