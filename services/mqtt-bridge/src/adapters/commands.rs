//! Commands out of Kafka to the devices. Kafka's offset follows once the broker has them: at least once, and the device
//! knows a repeat by its command id.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use events::headers::{TRACEPARENT, TRACESTATE};
use events::{OutboundCommand, Timestamp};
use stream::sink::{Batch, Refused, Sink};
use stream::{Failure, Poison, Position, Record, Registry, decode};
use telemetry::metrics::{Counter, counter};
use telemetry::span::{MessageSpan, Operation};
use tokio::time::{Instant, timeout_at};

use crate::adapters::mqtt::{Doorway, Published};
use crate::domain::{CommandTopics, NotForADevice, payload};

/// After this the batch is tried again, with the group kept informed between.
const GIVE_UP: Duration = Duration::from_secs(10);

pub struct Commands {
    registry: Registry,
    doorway: Doorway,
    topics: CommandTopics,
    /// Of the batch that is tried: what the broker has, or does not need any more.
    done: HashSet<Position>,
    published: Counter,
    expired: Counter,
}

/// A command, ready to be published.
pub struct Ready {
    message: Published,
    expires_at: Timestamp,
    /// Ends with the batch.
    _span: MessageSpan,
}

impl Commands {
    pub fn new(registry: Registry, doorway: Doorway, topics: CommandTopics) -> Self {
        let count = |outcome| counter("fieldwatch_mqtt_commands", &[("outcome", outcome)]);
        Self { registry, doorway, topics, done: HashSet::new(), published: count("published"), expired: count("expired") }
    }
}

impl Sink for Commands {
    type Item = Ready;

    async fn decode(&mut self, record: &Record) -> Result<Self::Item, Failure> {
        let value = record.value.as_deref().ok_or_else(|| Poison::new("no_value", "a command has a value"))?;
        let command: OutboundCommand = decode::decode(&self.registry, value).await?;
        let topic = self.topics.of(&command.tenant, &command.device_id).map_err(poison)?;
        let payload = payload(&command).map_err(poison)?;
        let span = MessageSpan::start(Operation::Publish, "devices/{device}/commands", record.cause().trace.as_ref());
        span.set("messaging.mqtt.topic", topic.clone());
        span.set("fieldwatch.command_id", command.command_id.to_string());
        let mut user_properties = Vec::new();
        if let Some(context) = span.context() {
            user_properties.push((TRACEPARENT.to_owned(), context.to_string()));
            user_properties.extend(context.state.map(|state| (TRACESTATE.to_owned(), state)));
        }
        let message = Published { topic, payload, expires_in: Duration::ZERO, user_properties };
        Ok(Ready { message, expires_at: command.expires_at, _span: span })
    }

    async fn apply(&mut self, batch: &Batch<Self::Item>) -> Result<(), Refused> {
        self.done.retain(|done| batch.items.iter().any(|(record, _)| record.position == *done));
        let mut under_way = Vec::with_capacity(batch.items.len());
        for (index, (record, Ready { message, expires_at, .. })) in batch.items.iter().enumerate() {
            if self.done.contains(&record.position) {
                continue;
            }
            let expires_in = expires_at.since(SystemTime::now().into());
            if expires_in.is_zero() {
                self.expired.inc();
                self.done.insert(record.position.clone());
                continue;
            }
            under_way.push((index, self.doorway.publish(Published { expires_in, ..message.clone() })));
        }
        let (until, mut failures) = (Instant::now() + GIVE_UP, Vec::new());
        for (index, outcome) in under_way {
            let outcome = match timeout_at(until, outcome).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) => Err(Failure::transient("the connection for commands has ended")),
                Err(_) => Err(Failure::transient(format!("the MQTT broker did not confirm a command within {GIVE_UP:?}"))),
            };
            match outcome {
                Ok(()) => {
                    self.published.inc();
                    self.done.insert(batch.items[index].0.position.clone());
                }
                Err(failure) => failures.push((index, failure)),
            }
        }
        judge(failures)
    }
}

/// What can never go leaves the batch, one after the other, before the rest is tried again: a broker may close the connection over
/// each, and so take the rest down with it every time.
fn judge(failures: Vec<(usize, Failure)>) -> Result<(), Refused> {
    match failures.into_iter().min_by_key(|(_, failure)| !matches!(failure, Failure::Poison(_))) {
        None => Ok(()),
        Some((index, Failure::Poison(poison))) => Err(Refused::Item { index, poison }),
        Some((_, failure)) => Err(Refused::Failed(failure)),
    }
}

fn poison(problem: NotForADevice) -> Failure {
    Poison::new(problem.reason, problem.detail).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_never_go_is_told_before_what_it_took_down_with_it() {
        let (lost, refused) = (|| Failure::transient("closed"), || Failure::from(Poison::new("refused_by_broker", "not authorized")));
        assert!(matches!(judge(vec![(0, lost()), (1, refused()), (2, refused())]), Err(Refused::Item { index: 1, .. })));
        assert!(matches!(judge(vec![(3, lost()), (4, lost())]), Err(Refused::Failed(Failure::Transient(_)))));
        assert!(judge(Vec::new()).is_ok());
    }
}
