//! The ceiling: one thread that polls and decodes every reading, and does nothing with it.

use std::io::Write as _;
use std::time::{Duration, Instant};

use events::codec::{WriterSchema, unframe};
use events::{Event, Reading};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Message, Offset, TopicPartitionList};

/// Prints `consumed N` as it goes, until it is killed.
pub(crate) fn run(topic: &str) {
    let mut config = testkit::kafka_config().consumer("bench-bare").expect("the consumer's settings");
    let consumer: BaseConsumer = config.set("group.id", format!("{topic}-bare")).create().expect("a consumer");
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(10)).expect("metadata");
    let mut assignment = TopicPartitionList::new();
    for partition in metadata.topics()[0].partitions() {
        assignment.add_partition_offset(topic, partition.id(), Offset::Beginning).expect("a partition");
    }
    consumer.assign(&assignment).expect("the partitions are assigned");
    let schema = WriterSchema::parse(Reading::SCHEMA.json).expect("our schema");
    let (mut count, mut told) = (0_u64, Instant::now());
    loop {
        if let Some(message) = consumer.poll(Duration::from_millis(20)) {
            let message = message.expect("a reading can be consumed");
            let (_, body) = unframe(message.payload().expect("a reading has a value")).expect("a framed value");
            std::hint::black_box(schema.decode::<Reading>(body).expect("a reading"));
            count += 1;
            if count % 1024 != 0 {
                continue;
            }
        }
        if told.elapsed() > Duration::from_millis(20) {
            println!("consumed {count}");
            std::io::stdout().flush().expect("standard output is open");
            told = Instant::now();
        }
    }
}
