//! The whole notifier against real Kafka, registry and Postgres; every test on its own topics and database.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a failing fixture fails the test")]

mod access;
mod actions;
mod authorization;
mod commands;
mod configuration;
mod device_commands;
mod device_streams;
mod devices;
mod emails;
mod endpoint;
mod events;
mod groups;
mod history;
mod https;
mod inputs;
mod issuer;
mod kills;
mod lists;
mod mail_server;
mod openapi;
mod problems;
mod process;
mod queries;
mod reactions;
mod restart;
mod scenes;
mod streams;
mod tokens;
mod webhooks;
mod world;
