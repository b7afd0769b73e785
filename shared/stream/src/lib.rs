//! The Kafka runtime: three kinds of stage, so that no service writes a consume loop of its own.
//!
//! - [`source`]: messages from outside; acknowledged only after Kafka, or the disk ([`spool`]), has them, in their order.
//! - [`operator`]: keyed state, exactly once; outputs, offsets and snapshots commit in one transaction.
//! - [`sink`]: batches into a store that also keeps the position; any replay is harmless.
//!
//! What can fail is Transient, Poison or Fatal ([`failure`]); a poison record goes to the dead-letter queue ([`dlq`])
//! and its delivery is awaited before the offset moves. Names no concrete event.

pub mod admin;
mod bootstrap;
mod config;
mod consumer;
pub mod decode;
pub mod dlq;
pub mod failure;
mod introductions;
pub mod operator;
pub mod producer;
mod record;
pub mod registry;
pub mod sink;
pub mod source;
pub mod spool;
pub mod tail;
mod watermarks;

pub use config::{GroupProtocol, KafkaConfig, RegistryConfig};
pub use failure::{Failure, Poison};
pub use producer::{EventWriter, OutRecord, Publisher};
pub use record::{Cause, Position, Record};
pub use registry::Registry;
