//! Notifications, commands and scenes on their way to their topics, through the outbox.

use events::trace::TraceContext;
use events::{Command, Event, Notification, Scene};
use outbox::OutboxEvent;
use stream::{Cause as Origin, EventWriter, Failure, KafkaConfig, Registry};

/// Makes outbox rows of events.
#[derive(Clone)]
pub struct Outgoing {
    writer: EventWriter,
    kafka: KafkaConfig,
}

impl Outgoing {
    /// Registers the schemas. Refused by the registry is Fatal, out of reach Transient.
    pub async fn register(kafka: &KafkaConfig, registry: &Registry) -> Result<Self, Failure> {
        let writer = EventWriter::new(crate::NAME, kafka).with::<Notification>(registry).await?;
        let writer = writer.with::<Command>(registry).await?.with::<Scene>(registry).await?;
        Ok(Self { writer, kafka: kafka.clone() })
    }

    /// The row of one event that `origin` led to.
    pub fn event<E: Event>(&self, event: &E, origin: &Origin, trace: Option<TraceContext>) -> Result<OutboxEvent, Failure> {
        let headers = self.writer.headers(event, origin, trace);
        Ok(OutboxEvent::of(event, self.kafka.prefixed(E::SCHEMA.topic), self.writer.value(event)?, &headers))
    }
}
