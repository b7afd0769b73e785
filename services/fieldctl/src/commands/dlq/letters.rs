//! Which letters a command means, and what their headers say.

use std::time::SystemTime;

use clap::Args;
use events::{Timestamp, topics};
use stream::tail::From;
use stream::{KafkaConfig, Record, dlq};

use crate::context::wrong_usage;
use crate::domain::dead_letter::{Filter, Letter};
use crate::domain::instant;

/// The letters a command is about.
#[derive(Args, Clone)]
pub(crate) struct Selection {
    /// Service (or stage) whose dead letters they are
    #[arg(long, value_name = "NAME")]
    pub(crate) service: String,
    /// Only this reason, as dlq list says it; may be repeated
    #[arg(long, value_name = "CODE")]
    reason: Vec<String>,
    /// Only what failed since then: 10m, or an instant
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Only this key; may be repeated
    #[arg(long)]
    key: Vec<String>,
    /// Only this partition of the dead-letter topic; may be repeated
    #[arg(long, value_name = "N")]
    partition: Vec<i32>,
}

impl Selection {
    /// Full name of the service's dead-letter topic.
    pub(crate) fn topic(&self, kafka: &KafkaConfig) -> String {
        kafka.prefixed(&topics::dlq(&self.service))
    }

    pub(crate) fn filter(&self) -> anyhow::Result<Filter> {
        let since = match &self.since {
            None => None,
            Some(since) => Some(
                instant::parse_since(since, SystemTime::now().into())
                    .ok_or_else(|| wrong_usage("--since is a duration like 10m, or an instant"))?,
            ),
        };
        Ok(Filter {
            reasons: self.reason.iter().cloned().collect(),
            keys: self.key.iter().cloned().collect(),
            partitions: self.partition.iter().copied().collect(),
            since,
        })
    }

    /// The same selection is the same text.
    pub(crate) fn describe(&self) -> String {
        let since = self.since.as_deref().unwrap_or("ever");
        format!("reason {:?}, key {:?}, partition {:?}, since {since}", self.reason, self.key, self.partition)
    }
}

/// Where the first letter of a filter may stand: a letter is written after its record failed.
pub(crate) fn beginning(filter: &Filter) -> From {
    filter.since.map_or(From::Beginning, |since| From::Time(since.as_millis()))
}

/// What decides about a letter.
pub(crate) fn letter(record: &Record) -> Letter {
    let failed_at = record.header(dlq::FAILED_AT).and_then(Timestamp::from_rfc3339);
    Letter {
        partition: record.position.partition,
        key: record.key.clone(),
        reason: record.header(dlq::REASON).unwrap_or("unknown").to_owned(),
        failed_at: failed_at.or_else(|| record.timestamp.map(Timestamp::from_millis)),
        origin_partition: number(record, dlq::PARTITION),
        redrives: number(record, dlq::REDRIVES).unwrap_or(0),
        truncated: record.header(dlq::TRUNCATED).is_some(),
    }
}

/// A header that is a number.
pub(crate) fn number<T: std::str::FromStr>(record: &Record, name: &str) -> Option<T> {
    record.header(name)?.parse().ok()
}

/// `partition:offset`
pub(crate) fn position(record: &Record) -> String {
    format!("{}:{}", record.position.partition, record.position.offset)
}

/// For clap: `partition:offset`.
pub(crate) fn parse_position(text: &str) -> Result<(i32, i64), String> {
    let parsed = text.split_once(':').and_then(|(partition, offset)| Some((partition.parse().ok()?, offset.parse().ok()?)));
    parsed.filter(|(partition, offset)| *partition >= 0 && *offset >= 0).ok_or_else(|| "not PARTITION:OFFSET, e.g. 3:17".to_owned())
}
