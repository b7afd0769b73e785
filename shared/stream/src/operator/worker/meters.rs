//! What a worker tells of its work.

use std::collections::HashMap;
use std::time::SystemTime;

use events::{Event, Timestamp};
use telemetry::metrics;

use crate::operator::{Operator, OperatorContext};

pub(super) struct Meters {
    pub(super) taken: metrics::Counter,
    given: HashMap<String, metrics::Counter>,
    pub(super) committed: metrics::Counter,
    pub(super) aborted: metrics::Counter,
    pub(super) processing: metrics::Histogram,
    pub(super) from_received: metrics::Histogram,
    pub(super) keys: metrics::GaugeF64,
    pub(super) owned: metrics::GaugeF64,
    pub(super) restoring: metrics::GaugeF64,
    pub(super) lag_seconds: metrics::GaugeF64,
}

impl Meters {
    pub(super) fn of<O: Operator>(context: &OperatorContext) -> Self {
        let input = context.kafka.prefixed(O::Event::SCHEMA.topic);
        let transactions = |outcome| metrics::counter("fieldwatch_transactions", &[("stage", O::STAGE), ("outcome", outcome)]);
        Self {
            taken: metrics::counter("fieldwatch_messages_in", &[("topic", &input)]),
            given: HashMap::new(),
            committed: transactions("committed"),
            aborted: transactions("aborted"),
            processing: metrics::histogram("fieldwatch_processing_seconds", &[("stage", O::STAGE)]),
            from_received: metrics::histogram("fieldwatch_end_to_end_seconds", &[("topic", &input), ("from", "received_at")]),
            keys: metrics::gauge("fieldwatch_state_keys", &[("stage", O::STAGE)]),
            owned: metrics::gauge("fieldwatch_assigned_partitions", &[("topic", &input)]),
            restoring: metrics::gauge("fieldwatch_restoring_partitions", &[("stage", O::STAGE)]),
            lag_seconds: metrics::gauge("fieldwatch_lag_seconds", &[("topic", &input)]),
        }
    }

    pub(super) fn gave(&mut self, topic: &str) {
        if !self.given.contains_key(topic) {
            self.given.insert(topic.to_owned(), metrics::counter("fieldwatch_messages_out", &[("topic", topic)]));
        }
        if let Some(counter) = self.given.get(topic) {
            counter.inc();
        }
    }

    /// Once a turn, for the record that waited longest.
    pub(super) fn age(&self, received_at: Timestamp) {
        let age = Timestamp::from(SystemTime::now()).since(received_at).as_secs_f64();
        self.lag_seconds.set(age);
        self.from_received.observe(age);
    }
}
