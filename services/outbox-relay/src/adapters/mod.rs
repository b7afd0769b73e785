//! What the relay talks to: the outbox's tables and Kafka.

mod headers;
pub mod kafka;
pub mod postgres;
