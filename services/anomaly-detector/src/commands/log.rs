//! A topic from some offsets to the end it had when the reading began.

use std::collections::BTreeMap;

use stream::tail::{From, Offsets, Seen, Tail};
use stream::{Failure, KafkaConfig, Record};

const CLIENT: &str = "anomaly-detector-commands";

/// Gives every record in `from` to `each`, each partition in its order. A partition that grows is not followed.
pub(super) async fn read(
    kafka: &KafkaConfig,
    topic: &str,
    from: &From,
    mut each: impl AsyncFnMut(Record) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut tail = Tail::open(kafka, CLIENT, topic, from)?;
    // A partition is done when its last record was seen, or its end.
    let mut open: BTreeMap<i32, i64> = tail.ends()?.into_iter().filter(|(partition, end)| tail.offsets()[partition] < *end).collect();
    while !open.is_empty() {
        match tail.next().await {
            Ok(Seen::Record(record)) => {
                let (partition, offset) = (record.position.partition, record.position.offset);
                let Some(end) = open.get(&partition).copied() else { continue };
                if offset < end {
                    each(record).await?;
                }
                if offset + 1 >= end {
                    open.remove(&partition);
                }
            }
            Ok(Seen::End(partition)) => _ = open.remove(&partition),
            // The client connects again by itself.
            Err(Failure::Transient(problem)) => tracing::warn!(problem = %problem, topic, "asked again"),
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

/// One partition from `offset` on, and nothing of the others.
pub(super) fn only(kafka: &KafkaConfig, topic: &str, partition: i32, offset: i64) -> Result<From, Failure> {
    let mut offsets: Offsets = Tail::open(kafka, CLIENT, topic, &From::End)?.offsets().clone();
    offsets.insert(partition, offset);
    Ok(From::Offsets(offsets))
}
