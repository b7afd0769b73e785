//! Alerts, anomalies, device states and results of commands into the database.
//!
//! Guarantees: a batch, its positions and its outbox rows are one transaction. Refuses as poison what no notification
//! can be made of and no row can hold: unreadable values, text or times that Postgres cannot hold.

use std::time::SystemTime;

use events::headers;
use events::{Anomaly, CommandResult, DeviceStatus, Event, TemperatureAlert, Timestamp};
use stream::sink::{Batch, Refused, Sink};
use stream::{Failure, KafkaConfig, Poison, Record, Registry, decode, dlq};
use telemetry::metrics;
use telemetry::span::{MessageSpan, Operation};
use uuid::Uuid;

use crate::adapters::db::{Advance, Arrival, NotApplied, Store, check_result, classify};
use crate::adapters::outgoing::Outgoing;
use crate::domain::lifecycle::Cause;
use crate::domain::signal::{Effect, Signal};

/// The topics notifications are made of, and what is known of commands.
pub const TOPICS: [&str; 4] =
    [TemperatureAlert::SCHEMA.topic, Anomaly::SCHEMA.topic, DeviceStatus::SCHEMA.topic, CommandResult::SCHEMA.topic];

pub struct NotificationSink {
    store: Store,
    registry: Registry,
    outgoing: Outgoing,
    prefix: String,
}

/// A record's meaning, and the span that works on it until its batch is done.
pub struct Taken {
    /// `None`: says nothing about notifications.
    arrival: Option<Arrival>,
    span: MessageSpan,
}

/// An event's own id, and what it says.
struct Said {
    event_id: Uuid,
    signal: Option<Signal>,
    result: Option<CommandResult>,
}

impl NotificationSink {
    pub fn new(store: Store, registry: Registry, outgoing: Outgoing, kafka: &KafkaConfig) -> Self {
        Self { store, registry, outgoing, prefix: kafka.topic_prefix.clone() }
    }

    /// The topic whose events a record holds, without prefix. A redriven record names the one it first came from.
    fn topic_of<'a>(&self, record: &'a Record) -> &'a str {
        let topic = record.header(dlq::TOPIC).unwrap_or(&record.position.topic);
        topic.strip_prefix(&self.prefix).unwrap_or(topic)
    }

    async fn read<E: Event>(&self, value: &[u8], signal: impl Fn(&E) -> Option<Signal>) -> Result<Said, Failure> {
        let event: E = decode::decode(&self.registry, value).await?;
        Ok(Said { event_id: event.event_id(), signal: signal(&event), result: None })
    }

    async fn read_result(&self, value: &[u8]) -> Result<Said, Failure> {
        let result: CommandResult = decode::decode(&self.registry, value).await?;
        check_result(&result)?;
        Ok(Said { event_id: result.event_id(), signal: Signal::of_result(&result), result: Some(result) })
    }

    /// What an event says; `None`: nothing.
    async fn interpret(&self, record: &Record) -> Result<Option<Said>, Failure> {
        let topic = self.topic_of(record);
        let Some(value) = record.value.as_deref() else {
            // A compacted topic forgets devices this way.
            let forgotten = topic == DeviceStatus::SCHEMA.topic;
            return if forgotten { Ok(None) } else { Err(Poison::new("no_value", "a record without a value").into()) };
        };
        let said = if topic == TemperatureAlert::SCHEMA.topic {
            self.read(value, Signal::of_alert).await?
        } else if topic == Anomaly::SCHEMA.topic {
            self.read(value, Signal::of_anomaly).await?
        } else if topic == DeviceStatus::SCHEMA.topic {
            self.read(value, Signal::of_status).await?
        } else if topic == CommandResult::SCHEMA.topic {
            self.read_result(value).await?
        } else {
            return Err(Poison::new("unexpected_topic", format!("no notification is made of {topic}")).into());
        };
        if let Some(signal) = &said.signal {
            signal.check().map_err(|problem| Poison::new("unstorable", problem.to_string()))?;
        }
        Ok((said.signal.is_some() || said.result.is_some()).then_some(said))
    }
}

impl Sink for NotificationSink {
    type Item = Taken;
    const KEEPS_POSITIONS: bool = true;

    async fn decode(&mut self, record: &Record) -> Result<Taken, Failure> {
        let origin = record.cause();
        let Some(Said { event_id, signal, result }) = self.interpret(record).await? else {
            let span = MessageSpan::start(Operation::Process, &record.position.topic, origin.trace.as_ref());
            return Ok(Taken { arrival: None, span });
        };
        // Whatever opens a notification can be followed.
        let opens = signal.as_ref().is_some_and(|signal| signal.effect == Effect::Triggers);
        let start = if opens { MessageSpan::start_sampled } else { MessageSpan::start };
        let span = start(Operation::Process, &record.position.topic, origin.trace.as_ref());
        let event_id = record.header(headers::CE_ID).and_then(|id| id.parse().ok()).unwrap_or(event_id);
        span.set("messaging.message.id", event_id.to_string());
        let trace = span.context();
        let trace_id = trace.as_ref().map(events::trace::TraceContext::trace_id_hex);
        let cause = Cause { event_id, trace_id, at: Timestamp::from(SystemTime::now()) };
        Ok(Taken { arrival: Some(Arrival { signal, result, cause, origin, trace }), span })
    }

    async fn position(&mut self, topic: &str, partition: i32) -> Result<Option<i64>, Failure> {
        self.store.position(topic, partition).await.map_err(|error| classify(&error))
    }

    async fn apply(&mut self, batch: &Batch<Taken>) -> Result<(), Refused> {
        let arrivals: Vec<&Arrival> = batch.items.iter().filter_map(|(_, taken)| taken.arrival.as_ref()).collect();
        match self.store.apply(&Advance::of(&batch.moves), &arrivals, &self.outgoing).await {
            Ok(made) => {
                for version in &made {
                    metrics::counter("fieldwatch_notifications", &[("action", &version.change.action)]).inc();
                }
                Ok(())
            }
            Err(NotApplied::Fenced(fenced)) => Err(Refused::Fenced { topic: fenced.topic, partition: fenced.partition }),
            Err(NotApplied::Failed(Failure::Poison(poison))) => Err(self.blame(batch, &poison).await),
            Err(NotApplied::Failed(failure)) => {
                batch.items.iter().for_each(|(_, taken)| taken.span.fail(&failure.to_string()));
                Err(failure.into())
            }
        }
    }
}

impl NotificationSink {
    /// Which item spoils the batch.
    async fn blame(&self, batch: &Batch<Taken>, poison: &Poison) -> Refused {
        for (index, (_, taken)) in batch.items.iter().enumerate() {
            let Some(arrival) = &taken.arrival else { continue };
            match self.store.rehearse(arrival, &self.outgoing).await {
                Err(NotApplied::Failed(Failure::Poison(poison))) => return Refused::Item { index, poison },
                Err(NotApplied::Failed(failure)) => return failure.into(),
                Ok(()) | Err(NotApplied::Fenced(_)) => {}
            }
        }
        // None by itself: together they ask for what cannot be, which is our mistake.
        Failure::fatal(format!("a batch is refused, but none of its records: {poison}")).into()
    }
}
