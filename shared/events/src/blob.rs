//! A payload that is too large for a topic.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::schema;
use crate::{Event, Schema, Timestamp, identity, topics};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Blob {
    pub tenant: String,
    pub device_id: String,
    /// Where the payload is kept.
    pub uri: String,
    /// Of the payload, in hexadecimal.
    pub sha256: String,
    /// Bytes.
    pub size: i64,
    /// As the publisher said, else `application/octet-stream`.
    pub content_type: String,
    /// Where it was published.
    pub mqtt_topic: String,
    pub received_at: Timestamp,
}

impl Event for Blob {
    const SCHEMA: Schema = schema!("blob", "Blob", topics::BLOBS);

    fn key(&self) -> String {
        identity::kafka_key(&self.tenant, &self.device_id)
    }

    /// The same payload of a device on the same topic is the same event, whenever it was received: a broker that sends it
    /// again does not say anything new.
    fn event_id(&self) -> Uuid {
        identity::uuid_of("blob", &[&self.tenant, &self.device_id, &self.mqtt_topic, &self.sha256])
    }

    fn time(&self) -> Timestamp {
        self.received_at
    }

    fn subject(&self) -> &str {
        &self.device_id
    }
}
