//! Reading topics without a group: event streams, `tail`, dead letters. Commits nothing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Offset, TopicPartitionList};

use crate::bootstrap::Bootstrap;
use crate::config::gather;
use crate::{Failure, KafkaConfig, Record};

const TIMEOUT: Duration = Duration::from_secs(10);

/// Next offsets of a topic's partitions.
pub type Offsets = BTreeMap<i32, i64>;

/// Where to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    Beginning,
    End,
    /// Partitions that are not named begin at their beginning.
    Offsets(Offsets),
    /// Milliseconds since the Unix epoch.
    Time(i64),
}

/// What a tail sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Record(Record),
    /// Everything there was in this partition has been seen; more may come.
    End(i32),
}

/// All partitions of one topic, read in parallel.
pub struct Tail {
    consumer: StreamConsumer<Bootstrap>,
    topic: String,
    partitions: usize,
    next: Offsets,
    ended: BTreeMap<i32, bool>,
}

impl Tail {
    /// Opens `topic` (its full name). Blocks its thread for a few requests: call it off the hot path.
    pub fn open(kafka: &KafkaConfig, client_id: &str, topic: &str, from: &From) -> Result<Self, Failure> {
        Self::open_gathering(kafka, client_id, topic, from, Duration::ZERO)
    }

    /// As [`open`](Self::open), for what may be seen so much later and costs less then.
    pub fn open_gathering(kafka: &KafkaConfig, client_id: &str, topic: &str, from: &From, gathering: Duration) -> Result<Self, Failure> {
        let mut config = kafka.consumer(client_id)?;
        gather(&mut config, gathering);
        config
            .set("group.id", kafka.prefixed(&format!("{client_id}-tail")))
            .set("enable.partition.eof", "true")
            .set("queued.max.messages.kbytes", "8192")
            .set("queued.min.messages", "1000");
        let consumer: StreamConsumer<Bootstrap> = Bootstrap::consumer(Bootstrap::watch(&mut config))?;
        let partitions = partition_count(&consumer, topic)?;
        let mut next = Offsets::new();
        for partition in 0..partitions as i32 {
            let (start, end) = watermarks(&consumer, topic, partition)?;
            let offset = match from {
                From::Beginning | From::Time(_) => start,
                From::End => end,
                From::Offsets(offsets) => offsets.get(&partition).copied().unwrap_or(start),
            };
            next.insert(partition, offset);
        }
        if let From::Time(at) = from {
            let mut wanted = TopicPartitionList::new();
            for partition in next.keys() {
                wanted.add_partition_offset(topic, *partition, Offset::Offset(*at))?;
            }
            let found = until_led(|| {
                let found = consumer.offsets_for_times(wanted.clone(), TIMEOUT)?;
                found.elements().iter().try_for_each(TopicPartitionListElem::error)?;
                Ok(found)
            })?;
            for element in found.elements() {
                let partition = element.partition();
                let offset = match element.offset() {
                    Offset::Offset(offset) => offset,
                    _ => watermarks(&consumer, topic, partition)?.1,
                };
                next.insert(partition, offset);
            }
        }
        let mut assignment = TopicPartitionList::new();
        for (partition, offset) in &next {
            assignment.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
        }
        consumer.assign(&assignment)?;
        let ended = next.keys().map(|partition| (*partition, false)).collect();
        Ok(Self { consumer, topic: topic.to_owned(), partitions, next, ended })
    }

    /// The next record, or word that a partition is at its end.
    pub async fn next(&mut self) -> Result<Seen, Failure> {
        match self.consumer.recv().await {
            Ok(message) => {
                let record = Record::from_message(&message);
                let partition = record.position.partition;
                self.next.insert(partition, record.position.offset + 1);
                self.ended.insert(partition, false);
                Ok(Seen::Record(record))
            }
            Err(KafkaError::PartitionEOF(partition)) => {
                self.ended.insert(partition, true);
                Ok(Seen::End(partition))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether every partition was seen to its end.
    pub fn at_end(&self) -> bool {
        self.ended.values().all(|ended| *ended)
    }

    /// Offsets to go on from.
    pub fn offsets(&self) -> &Offsets {
        &self.next
    }

    pub fn partitions(&self) -> usize {
        self.partitions
    }

    /// First offsets still kept. Blocks.
    pub fn beginnings(&self) -> Result<Offsets, Failure> {
        self.watermarks(|(start, _)| start)
    }

    /// Offsets after the last record. Blocks.
    pub fn ends(&self) -> Result<Offsets, Failure> {
        self.watermarks(|(_, end)| end)
    }

    fn watermarks(&self, pick: impl Fn((i64, i64)) -> i64) -> Result<Offsets, Failure> {
        self.next.keys().map(|partition| Ok((*partition, pick(watermarks(&self.consumer, &self.topic, *partition)?)))).collect()
    }
}

/// A topic from somewhere to the end it had when the reading began, each partition in its order: one that grows is not
/// followed.
pub struct ToEnd {
    tail: Tail,
    /// Partitions whose last record was not seen yet, nor their end, each with that end.
    open: Offsets,
}

impl ToEnd {
    /// `topic` is the full name. Blocks its thread for a few requests.
    pub fn open(kafka: &KafkaConfig, client_id: &str, topic: &str, from: &From) -> Result<Self, Failure> {
        let tail = Tail::open(kafka, client_id, topic, from)?;
        let open = tail.ends()?.into_iter().filter(|(partition, end)| tail.offsets()[partition] < *end).collect();
        Ok(Self { tail, open })
    }

    pub fn is_done(&self) -> bool {
        self.open.is_empty()
    }

    /// The next record; `None` at the end. What is Transient is waited for: the client connects again by itself.
    pub async fn next(&mut self) -> Result<Option<Record>, Failure> {
        while !self.is_done() {
            match self.step().await {
                Ok(None) => {}
                Ok(record) => return Ok(record),
                Err(Failure::Transient(problem)) => tracing::warn!(problem, topic = self.tail.topic, "asked again"),
                Err(failure) => return Err(failure),
            }
        }
        Ok(None)
    }

    /// One step towards the end; not every step brings a record.
    pub async fn step(&mut self) -> Result<Option<Record>, Failure> {
        match self.tail.next().await? {
            Seen::Record(record) => {
                let (partition, offset) = (record.position.partition, record.position.offset);
                let Some(end) = self.open.get(&partition).copied() else { return Ok(None) };
                if offset + 1 >= end {
                    self.open.remove(&partition);
                }
                Ok((offset < end).then_some(record))
            }
            Seen::End(partition) => {
                self.open.remove(&partition);
                Ok(None)
            }
        }
    }
}

impl From {
    /// One partition from `offset` on, and nothing of the others. Blocks its thread for a few requests.
    pub fn only(kafka: &KafkaConfig, client_id: &str, topic: &str, partition: i32, offset: i64) -> Result<Self, Failure> {
        let mut offsets = Tail::open(kafka, client_id, topic, &Self::End)?.next;
        offsets.insert(partition, offset);
        Ok(Self::Offsets(offsets))
    }
}

fn partition_count(consumer: &StreamConsumer<Bootstrap>, topic: &str) -> Result<usize, Failure> {
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT)?;
    let found = metadata.topics().iter().find(|found| found.name() == topic && found.error().is_none());
    let partitions = found.map_or(0, |found| found.partitions().len());
    if partitions == 0 {
        return Err(Failure::transient(format!("topic {topic} does not exist")));
    }
    Ok(partitions)
}

/// First offset and end of a partition.
fn watermarks(consumer: &StreamConsumer<Bootstrap>, topic: &str, partition: i32) -> Result<(i64, i64), Failure> {
    until_led(|| crate::watermarks::watermarks(consumer, topic, partition, TIMEOUT))
}

/// A topic that was just created has no leader for a moment.
fn until_led<T>(ask: impl Fn() -> KafkaResult<T>) -> Result<T, Failure> {
    let started = Instant::now();
    loop {
        match ask().map_err(Failure::from) {
            Err(Failure::Transient(_)) if started.elapsed() < TIMEOUT => std::thread::sleep(Duration::from_millis(50)),
            found => return found,
        }
    }
}
