//! What a topic holds.

use std::path::Path;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Headers as _;
use rdkafka::{Message, Offset, TopicPartitionList};
use testkit::Kit;

#[derive(Clone, Copy, Default)]
pub(crate) struct Held {
    pub(crate) records: u64,
    /// Keys, values and headers.
    pub(crate) bytes: u64,
}

/// Reads a topic (its full name) to its end, as far as it is committed.
pub(crate) fn held(kit: &Kit, topic: &str) -> Held {
    let mut config = kit.kafka.consumer("bench").expect("the consumer's settings");
    let config = config.set("enable.partition.eof", "true").set("group.id", format!("{}bench", kit.prefix()));
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(10)).expect("metadata");
    let mut open = metadata.topics()[0].partitions().len();
    let mut assignment = TopicPartitionList::new();
    for partition in metadata.topics()[0].partitions() {
        assignment.add_partition_offset(topic, partition.id(), Offset::Beginning).expect("a partition");
    }
    consumer.assign(&assignment).expect("the partitions are assigned");
    let mut held = Held::default();
    while open > 0 {
        match consumer.poll(Duration::from_secs(30)).expect("an answer within 30 s") {
            Ok(message) => {
                let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
                let headers: usize = headers.map(|header| header.key.len() + header.value.map_or(0, <[u8]>::len)).sum();
                held.records += 1;
                held.bytes += (message.key_len() + message.payload_len() + headers) as u64;
            }
            Err(KafkaError::PartitionEOF(_)) => open -= 1,
            Err(error) => panic!("{topic}: {error}"),
        }
    }
    held
}

/// Bytes of a topic's segments in the broker's log folder.
pub(crate) fn on_disk(log: &Path, topic: &str) -> u64 {
    let partitions = std::fs::read_dir(log).expect("the broker's log folder").filter_map(Result::ok);
    let of_topic = |name: &str| name.rsplit_once('-').is_some_and(|(named, _)| named == topic);
    let partitions = partitions.filter(|folder| of_topic(&folder.file_name().to_string_lossy()));
    let segments = partitions.flat_map(|folder| std::fs::read_dir(folder.path()).expect("a partition's folder").filter_map(Result::ok));
    let segments = segments.filter(|file| file.path().extension().is_some_and(|ending| ending == "log"));
    segments.map(|file| file.metadata().map_or(0, |metadata| metadata.len())).sum()
}
