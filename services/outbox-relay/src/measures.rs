//! What the relay counts.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use telemetry::metrics::{Counter, GaugeF64, Histogram, counter, gauge, histogram};

use crate::domain::Fault;

pub(crate) struct Measures {
    pub(crate) published: Counter,
    retried: Counter,
    dead: Counter,
    unavailable: Counter,
    rejected: Counter,
    oldest: GaugeF64,
    batch: Histogram,
    under_way: AtomicI64,
    in_flight: GaugeF64,
}

impl Measures {
    pub(crate) fn new() -> Self {
        let rows = |outcome| counter("fieldwatch_outbox_rows", &[("outcome", outcome)]);
        let failures = |class| counter("fieldwatch_failures", &[("class", class)]);
        Self {
            published: rows("published"),
            retried: rows("retried"),
            dead: rows("dead"),
            unavailable: failures("transient"),
            rejected: failures("poison"),
            oldest: gauge("fieldwatch_outbox_oldest_seconds", &[]),
            batch: histogram("fieldwatch_processing_seconds", &[("stage", "outbox-relay")]),
            under_way: AtomicI64::new(0),
            in_flight: gauge("fieldwatch_outbox_in_flight", &[]),
        }
    }

    /// One row is tried again.
    pub(crate) fn retried(&self, fault: Fault) {
        self.retried.inc();
        if fault == Fault::Unavailable {
            self.unavailable.inc();
        }
    }

    /// One row was given up.
    pub(crate) fn dead(&self) {
        self.dead.inc();
        self.rejected.inc();
    }

    /// So many rows more, or less, are with Kafka.
    pub(crate) fn under_way(&self, rows: i64) {
        self.in_flight.set((self.under_way.fetch_add(rows, Ordering::Relaxed) + rows) as f64);
    }

    pub(crate) fn oldest(&self, age: Duration) {
        self.oldest.set(age.as_secs_f64());
    }

    pub(crate) fn batch(&self, took: Duration) {
        self.batch.observe(took.as_secs_f64());
    }
}
