//! Where synthetic and replayed readings go: to devices' topics over MQTT, or straight into a Kafka topic.

use std::collections::VecDeque;
use std::time::Duration;

use events::Event;
use stream::producer::{Delivery, GiveUp};
use stream::{Cause, EventWriter, Failure, KafkaConfig, OutRecord, Publisher, Registry, RegistryConfig};

const GIVE_UP: Duration = Duration::from_secs(30);
/// Records on their way at most.
const IN_FLIGHT: usize = 10_000;

/// Writes events and anything else into topics; every delivery is awaited.
pub(crate) struct KafkaOutlet {
    kafka: KafkaConfig,
    writer: EventWriter,
    publisher: Publisher,
    deliveries: VecDeque<Delivery>,
}

impl KafkaOutlet {
    pub(crate) fn connect(kafka: &KafkaConfig) -> Result<Self, Failure> {
        Ok(Self {
            kafka: kafka.clone(),
            writer: EventWriter::new("fieldctl", kafka),
            publisher: Publisher::connect(kafka, "fieldctl", GiveUp::After(GIVE_UP))?,
            deliveries: VecDeque::new(),
        })
    }

    /// Adds an event type: registers its schema.
    pub(crate) async fn with<E: Event>(mut self, registry: &RegistryConfig) -> Result<Self, Failure> {
        self.writer = self.writer.with::<E>(&Registry::connect(registry)?).await?;
        Ok(self)
    }

    pub(crate) async fn send_event<E: Event>(&mut self, event: &E) -> Result<(), Failure> {
        self.send(self.writer.record(event, &Cause::default(), None)?).await
    }

    /// Bytes that are no event, into `topic` (without prefix).
    pub(crate) async fn send_bytes(&mut self, topic: &str, key: String, value: Vec<u8>) -> Result<(), Failure> {
        self.send(OutRecord::new(self.kafka.prefixed(topic), Some(key.into_bytes()), Some(value))).await
    }

    async fn send(&mut self, record: OutRecord) -> Result<(), Failure> {
        if self.deliveries.len() >= IN_FLIGHT
            && let Some(oldest) = self.deliveries.pop_front()
        {
            oldest.await?;
        }
        self.deliveries.push_back(self.publisher.enqueue_when_room(record).await?);
        Ok(())
    }

    /// Waits for everything sent; partition and offset of each.
    pub(crate) async fn delivered(&mut self) -> Result<Vec<(i32, i64)>, Failure> {
        let mut places = Vec::with_capacity(self.deliveries.len());
        for delivery in self.deliveries.drain(..) {
            places.push(delivery.await?);
        }
        Ok(places)
    }
}
