//! Readings out of Kafka. The group's offset follows what was applied: at least once, and a repeat changes nothing.

use events::Reading;
use stream::sink::{Batch, Refused, Sink};
use stream::{Failure, Poison, Record, Registry, decode};
use telemetry::span::{MessageSpan, Operation};

use crate::domain::Highest;

pub struct Readings {
    registry: Registry,
    highest: Highest,
}

/// A reading, and the span that works on it until its batch is done.
pub struct Taken {
    reading: Reading,
    span: MessageSpan,
}

impl Readings {
    pub fn new(registry: Registry) -> Self {
        Self { registry, highest: Highest::default() }
    }
}

impl Sink for Readings {
    type Item = Taken;

    async fn decode(&mut self, record: &Record) -> Result<Self::Item, Failure> {
        let value = record.value.as_deref().ok_or_else(|| Poison::new("no_value", "a reading has a value"))?;
        let reading = decode::decode(&self.registry, value).await?;
        let span = MessageSpan::start(Operation::Process, &record.position.topic, record.cause().trace.as_ref());
        Ok(Taken { reading, span })
    }

    async fn apply(&mut self, batch: &Batch<Self::Item>) -> Result<(), Refused> {
        for (_, Taken { reading, span }) in &batch.items {
            if self.highest.take(reading) {
                span.set("fieldwatch.highest", true);
                tracing::info!(device_id = reading.device_id, metric = reading.metric, value = reading.value, "higher than any before");
            }
        }
        Ok(())
    }
}
