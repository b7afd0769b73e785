//! Publishes the rows of the outbox: in order per aggregate, at least once, deleted only once acknowledged.

pub mod adapters;
pub mod app;
pub mod commands;
pub mod config;
pub mod domain;
mod measures;
mod relay;
mod tenure;
