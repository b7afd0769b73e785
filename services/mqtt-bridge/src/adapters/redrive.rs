//! Messages that an operator took from the dead-letter queue and sends again: read by today's routes, with the time they
//! were received at first. At least once.

use std::time::Duration;

use stream::producer::GiveUp;
use stream::sink::{Batch, Refused, Sink};
use stream::{Failure, KafkaConfig, OutRecord, Poison, Publisher, Record, dlq};
use telemetry::span::{MessageSpan, Operation};

use crate::NAME;
use crate::adapters::records::{RecordsLater, message_of};
use crate::domain::Routes;

/// After this the batch is tried again, with the group kept informed between.
const GIVE_UP: Duration = Duration::from_secs(10);

/// Puts redriven messages where they belong. Kafka itself keeps the position: the group's offset, committed once
/// everything is delivered.
pub struct Redrive {
    routes: Routes,
    records: RecordsLater,
    kafka: KafkaConfig,
    publisher: Publisher,
}

impl Redrive {
    pub fn connect(routes: Routes, records: RecordsLater, kafka: &KafkaConfig) -> Result<Self, Failure> {
        let publisher = Publisher::connect(kafka, "mqtt-bridge-redrive", GiveUp::After(GIVE_UP))?;
        Ok(Self { routes, records, kafka: kafka.clone(), publisher })
    }

    fn events(&self, record: &Record) -> Result<Vec<OutRecord>, Failure> {
        let received = message_of(record)?;
        let span = MessageSpan::start(Operation::Process, &record.position.topic, record.cause().trace.as_ref());
        let interpreted = self.routes.interpret(&received.message());
        let outcome = interpreted.outcome.map_err(|reject| Poison::new(reject.reason.code(), reject.detail))?;
        self.records.get()?.events(&received, &outcome, span.context().as_ref())
    }
}

impl Sink for Redrive {
    type Item = Vec<OutRecord>;

    /// What fails again is a dead letter again, and not the sink's failure: however many an operator redrives in vain,
    /// the bridge goes on.
    async fn decode(&mut self, record: &Record) -> Result<Self::Item, Failure> {
        match self.events(record) {
            Err(Failure::Poison(poison)) => {
                Failure::Poison(poison.clone()).note(&record.position.topic);
                Ok(vec![dlq::letter(&self.kafka, NAME, record, &poison)])
            }
            events => events,
        }
    }

    async fn apply(&mut self, batch: &Batch<Self::Item>) -> Result<(), Refused> {
        let refused = |index, failure| match failure {
            Failure::Poison(poison) => Refused::Item { index, poison },
            failure => Refused::Failed(failure),
        };
        let mut deliveries = Vec::with_capacity(batch.items.len());
        for (index, (_, records)) in batch.items.iter().enumerate() {
            for record in records {
                let queued = self.publisher.enqueue_when_room(record.clone()).await;
                deliveries.push((index, queued.map_err(|failure| refused(index, failure))?));
            }
        }
        for (index, delivery) in deliveries {
            delivery.await.map_err(|failure| refused(index, failure))?;
        }
        Ok(())
    }
}
