//! A topic from somewhere to where it ends now: what comes meanwhile is not waited for.

use std::time::Duration;

use anyhow::{Context as _, bail};
use stream::tail::{From, Tail, ToEnd};
use stream::{Failure, KafkaConfig, Record};

const CLIENT: &str = "fieldctl";
/// Nothing at all for so long, not even word of an end: Kafka is away.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct LogReader(ToEnd);

impl LogReader {
    /// `topic` is the full name.
    pub(crate) fn open(kafka: &KafkaConfig, topic: &str, from: &From) -> anyhow::Result<Self> {
        reach(kafka, topic, || ToEnd::open(kafka, CLIENT, topic, from)).map(Self)
    }

    /// One record; says what is there instead when it is not.
    pub(crate) async fn one(kafka: &KafkaConfig, topic: &str, partition: i32, offset: i64) -> anyhow::Result<Record> {
        let probe = open_tail(kafka, topic, &From::End)?;
        let (begins, ends) = (probe.beginnings()?, probe.ends()?);
        let Some((begin, end)) = begins.get(&partition).zip(ends.get(&partition)) else {
            bail!("{topic} has no partition {partition}, its partitions are 0 to {}", ends.len().saturating_sub(1));
        };
        if !(*begin..*end).contains(&offset) {
            bail!("{topic} has no offset {partition}:{offset}, partition {partition} holds {begin} up to {end} (without it)");
        }
        let mut only = ends.clone();
        only.insert(partition, offset);
        let mut reader = Self::open(kafka, topic, &From::Offsets(only))?;
        match reader.next().await? {
            Some(record) if record.position.offset == offset => Ok(record),
            _ => bail!("{topic} has no record at {partition}:{offset}: it was compacted away, or is a transaction's marker"),
        }
    }

    /// The next record; `None` at the end.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Record>> {
        while !self.0.is_done() {
            match tokio::time::timeout(PATIENCE, self.0.step()).await.context("Kafka does not answer")? {
                // The client goes on trying by itself; patience ends it.
                Ok(None) | Err(Failure::Transient(_)) => {}
                Ok(record) => return Ok(record),
                Err(failure) => return Err(failure.into()),
            }
        }
        Ok(None)
    }
}

/// Opens a tail.
pub(crate) fn open_tail(kafka: &KafkaConfig, topic: &str, from: &From) -> anyhow::Result<Tail> {
    reach(kafka, topic, || Tail::open(kafka, CLIENT, topic, from))
}

/// A few blocking requests.
fn reach<T>(kafka: &KafkaConfig, topic: &str, open: impl FnOnce() -> Result<T, Failure>) -> anyhow::Result<T> {
    tokio::task::block_in_place(open).with_context(|| format!("{topic} cannot be read at {}", kafka.brokers))
}

/// The full name of `topic`, which may have the prefix already.
pub(crate) fn full_name(kafka: &KafkaConfig, topic: &str) -> String {
    if topic.starts_with(&kafka.topic_prefix) { topic.to_owned() } else { kafka.prefixed(topic) }
}
