//! Rows into Kafka: all of a batch under way at the same time, every acknowledgement awaited.
//!
//! Guarantees: one answer for each row. Refuses: to queue anything behind a row of the same aggregate that could not be queued.

use std::collections::HashSet;
use std::time::Duration;

use events::headers::{TRACEPARENT, TRACESTATE};
use events::trace::TraceContext;
use stream::producer::GiveUp;
use stream::{Failure, KafkaConfig, OutRecord, Publisher};
use telemetry::span::{MessageSpan, Operation};

use crate::domain::{Aggregate, Delivery, Row};

/// How long the cluster may take to say which topics it has.
const METADATA_TIMEOUT: Duration = Duration::from_secs(5);

/// The producer, and what the cluster says of its topics.
#[derive(Clone)]
pub struct Records {
    publisher: Publisher,
}

impl Records {
    /// Every record is acknowledged or given up within `timeout`: nothing outlives a lease.
    pub fn connect(kafka: &KafkaConfig, timeout: Duration) -> Result<Self, Failure> {
        Ok(Self { publisher: Publisher::connect(kafka, "outbox-relay", GiveUp::After(timeout))? })
    }

    /// Whether the cluster answers.
    pub async fn reach(&self) -> Result<(), Failure> {
        let publisher = self.publisher.clone();
        // The client's metadata calls block their thread.
        let asked = tokio::task::spawn_blocking(move || publisher.reach(METADATA_TIMEOUT));
        asked.await.map_err(Failure::transient)?
    }

    /// Those of `topics` that the cluster does not have. A producer would wait for such a topic, and everyone with it.
    pub async fn missing(&self, topics: HashSet<String>) -> Result<HashSet<String>, Failure> {
        let publisher = self.publisher.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let mut missing = HashSet::new();
            for topic in topics {
                if !publisher.has_topic(&topic, METADATA_TIMEOUT)? {
                    missing.insert(topic);
                }
            }
            Ok(missing)
        });
        asked.await.map_err(Failure::transient)?
    }

    /// How sending each of `rows` ended. Fatal when no row can be sent any more.
    pub async fn publish(&self, rows: &[Row], missing: &HashSet<String>) -> Result<Vec<Delivery>, Failure> {
        let mut refused: HashSet<&Aggregate> = HashSet::new();
        let mut queued = Vec::with_capacity(rows.len());
        for row in rows {
            if refused.contains(&row.aggregate) {
                queued.push(Queued::Not(Delivery::Withheld));
                continue;
            }
            let next = if missing.contains(&row.topic) {
                Queued::Not(Delivery::Rejected(format!("the cluster has no topic {}", row.topic)))
            } else {
                let span = span(row);
                match self.publisher.enqueue_when_room(record(row, span.as_ref())).await {
                    Ok(delivery) => Queued::Yes(delivery, span),
                    Err(failure) => Queued::Not(ended(Err(failure), span.as_ref())?),
                }
            };
            if matches!(next, Queued::Not(_)) {
                refused.insert(&row.aggregate);
            }
            queued.push(next);
        }
        let mut deliveries = Vec::with_capacity(rows.len());
        for queued in queued {
            deliveries.push(match queued {
                Queued::Yes(delivery, span) => ended(delivery.await, span.as_ref())?,
                Queued::Not(delivery) => delivery,
            });
        }
        Ok(deliveries)
    }
}

enum Queued {
    Yes(stream::producer::Delivery, Option<MessageSpan>),
    Not(Delivery),
}

fn ended(result: Result<(i32, i64), Failure>, span: Option<&MessageSpan>) -> Result<Delivery, Failure> {
    let delivery = match result {
        Ok(_) => return Ok(Delivery::Delivered),
        Err(Failure::Poison(poison)) => Delivery::Rejected(poison.to_string()),
        Err(Failure::Transient(problem)) => Delivery::Unavailable(problem),
        Err(fatal @ Failure::Fatal(_)) => return Err(fatal),
    };
    if let (Some(span), Delivery::Rejected(problem) | Delivery::Unavailable(problem)) = (span, &delivery) {
        span.fail(problem);
    }
    Ok(delivery)
}

/// The child of the row's span, for a row whose trace is kept.
fn span(row: &Row) -> Option<MessageSpan> {
    let header = |name| row.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value);
    let mut parent: TraceContext = header(TRACEPARENT)?.parse().ok()?;
    parent.state = header(TRACESTATE).cloned();
    parent.sampled.then(|| {
        let span = MessageSpan::start(Operation::Publish, &row.topic, Some(&parent));
        span.set("messaging.kafka.message.key", row.aggregate.id.clone());
        span
    })
}

/// Key and value as they are. The trace goes on from the publish span, where there is one.
fn record(row: &Row, span: Option<&MessageSpan>) -> OutRecord {
    let traceparent = span.and_then(MessageSpan::context).map(|context| context.to_string());
    let record = OutRecord::new(&row.topic, Some(row.aggregate.id.clone().into_bytes()), Some(row.payload.clone()));
    row.headers.iter().fold(record, |record, (name, value)| {
        let value = if name == TRACEPARENT { traceparent.as_ref().unwrap_or(value) } else { value };
        record.header(name, Some(value.as_bytes()))
    })
}
