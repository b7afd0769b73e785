//! What touches the world: Postgres, Kafka, HTTP.

pub mod command_document;
pub mod db;
pub mod device_document;
pub mod devices;
pub mod document;
pub mod endpoint_secret;
pub mod examples;
pub mod guard;
pub mod history;
pub mod history_document;
pub mod http;
pub mod hub;
pub mod letter;
pub mod mailer;
pub mod oidc;
pub mod outgoing;
pub mod payload;
pub mod sender;
pub mod server;
pub mod signer;
pub mod sink;
pub mod timeline_document;
pub mod timers;
pub mod vault;
