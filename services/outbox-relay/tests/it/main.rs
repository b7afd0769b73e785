//! The relay against real Kafka and Postgres, each test with its own topic and database.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and runs its own tasks"
)]

mod archive;
mod away;
mod commands;
mod debezium;
mod fixture;
mod leases;
mod log;
mod model;
mod order;
mod pace;
mod poison;
mod records;
mod replicas;
mod restart;
mod writers;
mod zombie;
