//! Notifications on their way to notifications.v1, through the outbox.

use events::trace::TraceContext;
use events::{Event as _, Notification};
use outbox::OutboxEvent;
use stream::{Cause as Origin, EventWriter, Failure, KafkaConfig, Registry};

/// Makes outbox rows of notifications.
#[derive(Clone)]
pub struct Outgoing {
    writer: EventWriter,
    topic: String,
}

impl Outgoing {
    /// Registers the schema. Refused by the registry is Fatal, out of reach Transient.
    pub async fn register(kafka: &KafkaConfig, registry: &Registry) -> Result<Self, Failure> {
        let writer = EventWriter::new(crate::NAME, kafka).with::<Notification>(registry).await?;
        Ok(Self { writer, topic: kafka.prefixed(Notification::SCHEMA.topic) })
    }

    /// The row of one version that `origin` led to.
    pub fn event(&self, version: &Notification, origin: &Origin, trace: Option<TraceContext>) -> Result<OutboxEvent, Failure> {
        let headers = self.writer.headers(version, origin, trace);
        Ok(OutboxEvent::of(version, self.topic.clone(), self.writer.value(version)?, &headers))
    }
}
