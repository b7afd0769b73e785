//! What touches the world: Postgres, Kafka, HTTP.

pub mod db;
pub mod document;
pub mod examples;
pub mod http;
pub mod guard;
pub mod hub;
pub mod outgoing;
pub mod signer;
pub mod sink;
pub mod timers;
pub mod vault;
