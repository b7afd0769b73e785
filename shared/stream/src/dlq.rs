//! Dead letters: the original record, untouched, with where it stood and why it failed.

use std::collections::VecDeque;
use std::time::SystemTime;

use events::headers::{TRACEPARENT, TRACESTATE};
use events::{Timestamp, topics};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use telemetry::span::{MessageSpan, Operation};

use crate::{Failure, KafkaConfig, OutRecord, Poison, Record};

pub const TOPIC: &str = "dlq-topic";
pub const PARTITION: &str = "dlq-partition";
pub const OFFSET: &str = "dlq-offset";
pub const TIMESTAMP: &str = "dlq-timestamp";
pub const SERVICE: &str = "dlq-service";
pub const CLASS: &str = "dlq-class";
pub const REASON: &str = "dlq-reason";
pub const DETAIL: &str = "dlq-detail";
pub const ATTEMPTS: &str = "dlq-attempts";
pub const FAILED_AT: &str = "dlq-failed-at";
pub const REDRIVES: &str = "dlq-redrives";
pub const TRUNCATED: &str = "dlq-truncated";
pub const SIZE: &str = "dlq-size";
pub const SHA256: &str = "dlq-sha256";

/// A record that failed this often after redrives is quarantined: redrive leaves it alone unless told otherwise.
pub const QUARANTINE_AFTER: u32 = 3;
/// The largest value a dead-letter topic takes: its inputs' maximum.
const MAX_VALUE: usize = 1_048_576;
/// `dlq-detail` is for people; longer than this helps nobody.
const MAX_DETAIL: usize = 1_000;

/// The dead letter of a record that `service` could not process, in a trace that is kept, linked to the record's own.
pub fn letter(kafka: &KafkaConfig, service: &str, record: &Record, poison: &Poison) -> OutRecord {
    let topic = kafka.prefixed(&topics::dlq(service));
    let span = MessageSpan::start_sampled(Operation::Publish, &topic, record.cause().trace.as_ref());
    span.fail(poison.reason);
    let trace = span.context();
    let out = OutRecord::new(topic, record.key.clone(), None);
    // A redriven record keeps the place it first failed at; its redrives are counted by whoever redrives.
    let redriven = record.header(TOPIC).or(record.header(REDRIVES)).is_some();
    let kept = |name: &str| redriven || !name.starts_with("dlq-");
    let traced_anew = |name: &str| trace.is_some() && [TRACEPARENT, TRACESTATE].contains(&name);
    let again = |name: &str| [REASON, DETAIL, CLASS, FAILED_AT, SERVICE].contains(&name) || traced_anew(name);
    let out = record
        .headers
        .iter()
        .filter(|(name, _)| kept(name) && !again(name))
        .fold(out, |out, (name, value)| out.header(name, value.as_deref()));
    let out = if redriven {
        out
    } else {
        let timestamp = record.timestamp.unwrap_or_default().to_string();
        out.header(TOPIC, Some(record.position.topic.as_bytes()))
            .header(PARTITION, Some(record.position.partition.to_string().as_bytes()))
            .header(OFFSET, Some(record.position.offset.to_string().as_bytes()))
            .header(TIMESTAMP, Some(timestamp.as_bytes()))
            .header(ATTEMPTS, Some(b"1"))
    };
    let out = trace.iter().fold(out, |out, trace| out.header(TRACEPARENT, Some(trace.to_string().as_bytes())));
    let state = trace.as_ref().and_then(|trace| trace.state.as_ref());
    let out = state.iter().fold(out, |out, state| out.header(TRACESTATE, Some(state.as_bytes())));
    with_value(described(out, service, poison), record.value.clone())
}

/// Adds who failed, when and why.
pub fn described(out: OutRecord, service: &str, poison: &Poison) -> OutRecord {
    let detail: String = poison.detail.chars().take(MAX_DETAIL).collect();
    telemetry::metrics::counter("fieldwatch_dlq_records", &[("reason", poison.reason)]).inc();
    out.header(SERVICE, Some(service.as_bytes()))
        .header(CLASS, Some(b"poison"))
        .header(REASON, Some(poison.reason.as_bytes()))
        .header(DETAIL, Some(detail.as_bytes()))
        .header(FAILED_AT, Some(Timestamp::from(SystemTime::now()).to_string().as_bytes()))
}

/// Adds the value; what no topic would take is cut, with its size and hash.
pub fn with_value(mut out: OutRecord, value: Option<Vec<u8>>) -> OutRecord {
    match value {
        Some(mut value) if value.len() > MAX_VALUE => {
            let (size, hash) = (value.len().to_string(), format!("{:x}", Sha256::digest(&value)));
            value.truncate(MAX_VALUE);
            out.value = Some(value);
            out.header(TRUNCATED, Some(b"true")).header(SIZE, Some(size.as_bytes())).header(SHA256, Some(hash.as_bytes()))
        }
        value => {
            out.value = value;
            out
        }
    }
}

/// Whether a service stops when it diverts too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DlqLimit {
    On,
    /// Go on whatever fails: for a while, until a newer version is there.
    Off,
}

/// Stops a service that would divert everything: 100 in a row, or half of the last 1,000, means that the service is
/// wrong and not the records.
pub(crate) struct Limit {
    mode: DlqLimit,
    in_a_row: u32,
    recent: VecDeque<bool>,
    failed_recently: usize,
}

impl Limit {
    const IN_A_ROW: u32 = 100;
    const WINDOW: usize = 1_000;

    pub(crate) fn new(mode: DlqLimit) -> Self {
        Self { mode, in_a_row: 0, recent: VecDeque::with_capacity(Self::WINDOW), failed_recently: 0 }
    }

    pub(crate) fn count(&mut self, failed: bool) -> Result<(), Failure> {
        if self.recent.len() == Self::WINDOW && self.recent.pop_front() == Some(true) {
            self.failed_recently -= 1;
        }
        self.recent.push_back(failed);
        self.failed_recently += usize::from(failed);
        self.in_a_row = if failed { self.in_a_row + 1 } else { 0 };
        let half = self.recent.len() == Self::WINDOW && self.failed_recently * 2 >= Self::WINDOW;
        if self.mode == DlqLimit::On && (self.in_a_row >= Self::IN_A_ROW || half) {
            return Err(Failure::fatal(format!(
                "dead-letter limit: {} in a row, {} of the last {} records failed; this service or its producer is wrong. To go on all the same: dlq_limit = \"off\"",
                self.in_a_row,
                self.failed_recently,
                self.recent.len()
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_in_a_row_stop_the_service() {
        let mut limit = Limit::new(DlqLimit::On);
        assert!((0..99).all(|_| limit.count(true).is_ok()));
        assert!(limit.count(true).is_err());
    }

    #[test]
    fn half_of_the_last_thousand_stop_the_service() {
        let mut limit = Limit::new(DlqLimit::On);
        let failed_at = (0..2_000).find(|n| limit.count(n % 2 == 0).is_err());
        assert_eq!(failed_at, Some(999));
    }

    #[test]
    fn a_few_bad_records_do_not() {
        let mut limit = Limit::new(DlqLimit::On);
        assert!((0..10_000).all(|n| limit.count(n % 3 == 0).is_ok()));
    }

    #[test]
    fn switched_off_the_limit_stops_nobody() {
        let mut limit = Limit::new(DlqLimit::Off);
        assert!((0..10_000).all(|_| limit.count(true).is_ok()));
    }
}
