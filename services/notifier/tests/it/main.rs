//! The whole notifier against real Kafka, registry and Postgres; every test on its own topics and database.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a failing fixture fails the test")]

mod access;
mod actions;
mod commands;
mod configuration;
mod devices;
mod endpoint;
mod events;
mod groups;
mod inputs;
mod lists;
mod openapi;
mod problems;
mod process;
mod restart;
mod streams;
mod webhooks;
mod world;
