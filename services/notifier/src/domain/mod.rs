//! What the notifier decides: which events make which notifications, who may change them, what a client has seen.
//!
//! Pure: no clock, no I/O, no Kafka or HTTP types.

pub mod access;
pub mod command;
pub mod filter;
pub mod lifecycle;
pub mod position;
pub mod repeats;
pub mod signal;
