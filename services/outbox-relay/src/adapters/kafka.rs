//! Rows into Kafka: all of a batch under way at the same time, every acknowledgement awaited.
//!
//! Guarantees: one answer for each row; no row is queued after the time to do so. Refuses: to queue anything behind a row
//! of the same aggregate that could not be queued.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use events::headers::{TRACEPARENT, TRACESTATE};
use events::trace::TraceContext;
use stream::producer::GiveUp;
use stream::{Failure, KafkaConfig, OutRecord, Publisher};
use telemetry::span::{MessageSpan, Operation};

use super::headers;
use crate::domain::{Aggregate, Delivery, Row};

/// How long the cluster may take to say which topics it has.
const METADATA_TIMEOUT: Duration = Duration::from_secs(5);
/// A cluster that acknowledged nothing for this long is asked whether it is there.
const REACH_EVERY: Duration = Duration::from_secs(5);

/// The producer, and what the cluster says of its topics; clones share it.
#[derive(Clone)]
pub struct Records {
    publisher: Publisher,
    /// For rows that were rejected, perhaps for the sake of others in their record batch, whichever lane sent those.
    alone: Publisher,
    reached: Arc<Mutex<Reached>>,
    asking: Arc<tokio::sync::Mutex<()>>,
}

/// What Kafka last showed of itself.
#[derive(Clone, Default)]
struct Reached {
    at: Option<Instant>,
    failed: Option<(Instant, String)>,
}

impl Records {
    /// Every record is acknowledged or given up within `timeout`: nothing outlives a lease.
    pub fn connect(kafka: &KafkaConfig, timeout: Duration) -> Result<Self, Failure> {
        let publisher = Publisher::connect(kafka, "outbox-relay", GiveUp::After(timeout))?;
        let alone = Publisher::connect_unbatched(kafka, "outbox-relay-alone", GiveUp::After(timeout))?;
        Ok(Self { publisher, alone, reached: Arc::default(), asking: Arc::default() })
    }

    /// Whether the cluster answers, or did a moment ago.
    pub async fn reach(&self) -> Result<(), Failure> {
        let began = Instant::now();
        // One asks for all, and all hear the answer.
        let _asking = self.asking.lock().await;
        let known = self.reached().clone();
        if known.at.is_some_and(|at| at.elapsed() < REACH_EVERY) {
            return Ok(());
        }
        if let Some((_, problem)) = known.failed.filter(|(at, _)| *at >= began) {
            return Err(Failure::transient(problem));
        }
        let publisher = self.publisher.clone();
        // The client's metadata calls block their thread.
        let asked = tokio::task::spawn_blocking(move || publisher.reach(METADATA_TIMEOUT)).await.map_err(Failure::transient)?;
        match &asked {
            Err(Failure::Transient(problem)) => self.reached().failed = Some((Instant::now(), problem.clone())),
            _ => self.is_there(asked.is_ok()),
        }
        asked
    }

    /// What a delivery, or its failure, showed.
    pub fn is_there(&self, there: bool) {
        self.reached().at = there.then(Instant::now);
    }

    fn reached(&self) -> std::sync::MutexGuard<'_, Reached> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of `topics` that the cluster does not have. A producer would wait for such a topic, and everyone with it.
    pub async fn missing(&self, topics: HashSet<Arc<str>>) -> Result<HashSet<Arc<str>>, Failure> {
        if topics.is_empty() {
            return Ok(topics);
        }
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

    /// How sending each of `rows` ended; takes their payloads and headers. What cannot be queued before `until` is
    /// withheld. `alone`: in a record batch of its own. Fatal when no row can be sent any more.
    pub async fn publish(
        &self,
        rows: &mut [Row],
        missing: &HashSet<Arc<str>>,
        alone: bool,
        until: Instant,
    ) -> Result<Vec<Delivery>, Failure> {
        let publisher = if alone { &self.alone } else { &self.publisher };
        let mut refused: HashSet<Aggregate> = HashSet::new();
        let mut queued = Vec::with_capacity(rows.len());
        for row in rows {
            // This process may have been stopped at any line.
            if Instant::now() >= until || refused.contains(&row.aggregate) {
                queued.push(Queued::Not(Delivery::Withheld));
                continue;
            }
            let next = if missing.contains(&row.topic) {
                Queued::Not(Delivery::Rejected(format!("the cluster has no topic {}", row.topic)))
            } else {
                queue(publisher, row, until).await?
            };
            if matches!(next, Queued::Not(_)) {
                refused.insert(row.aggregate.clone());
            }
            queued.push(next);
        }
        // The last first: by then most are there, and this task is not woken for each.
        let mut deliveries = Vec::with_capacity(queued.len());
        for queued in queued.into_iter().rev() {
            deliveries.push(match queued {
                Queued::Yes(delivery, span) => ended(delivery.await, span.as_ref())?,
                Queued::Not(delivery) => delivery,
            });
        }
        deliveries.reverse();
        Ok(deliveries)
    }
}

async fn queue(publisher: &Publisher, row: &mut Row, until: Instant) -> Result<Queued, Failure> {
    let span = span(row);
    let record = match record(row, span.as_ref()) {
        Ok(record) => record,
        Err(problem) => return Ok(Queued::Not(Delivery::Rejected(format!("headers: {problem}")))),
    };
    match tokio::time::timeout_at(until.into(), publisher.enqueue_when_room(record)).await {
        Ok(Ok(delivery)) => Ok(Queued::Yes(delivery, span)),
        Ok(Err(failure)) => Ok(Queued::Not(ended(Err(failure), span.as_ref())?)),
        Err(_) => Ok(Queued::Not(Delivery::Withheld)),
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
    // Most rows have no sampled trace: their headers are read once only, on their way into the record.
    if !row.headers.contains(TRACEPARENT) {
        return None;
    }
    let (mut parent, mut state) = (None, None);
    let read = headers::for_each(&row.headers, |name, value| match name {
        TRACEPARENT => parent = value.parse::<TraceContext>().ok(),
        TRACESTATE => state = Some(value.to_owned()),
        _ => {}
    });
    let mut parent = read.ok().and(parent)?;
    parent.state = state;
    parent.sampled.then(|| {
        let span = MessageSpan::start(Operation::Publish, &row.topic, Some(&parent));
        span.set("messaging.kafka.message.key", row.aggregate.id.clone());
        span
    })
}

/// Key and value as they are. The trace goes on from the publish span, where there is one.
fn record(row: &mut Row, span: Option<&MessageSpan>) -> Result<OutRecord, serde_json::Error> {
    let traceparent = span.and_then(MessageSpan::context).map(|context| context.to_string());
    let mut record = OutRecord::new(&*row.topic, Some(row.aggregate.id.clone().into_bytes()), Some(std::mem::take(&mut row.payload)));
    headers::for_each(&std::mem::take(&mut row.headers), |name, value| {
        let value = if name == TRACEPARENT { traceparent.as_deref().unwrap_or(value) } else { value };
        record.add_header(name, Some(value.as_bytes()));
    })?;
    Ok(record)
}
