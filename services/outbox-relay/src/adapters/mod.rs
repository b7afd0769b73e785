//! What the relay talks to: the outbox's tables and Kafka.

pub mod kafka;
pub mod postgres;
