//! What came to Kafka: how much, in which order, how late.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use events::{Timestamp, topics};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use testkit::Kit;

pub(crate) struct Readings {
    consumer: BaseConsumer,
    topic: String,
    partitions: i32,
}

impl Readings {
    pub(crate) fn of(kit: &Kit) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &kit.kafka.brokers).set("group.id", "bench").set("fetch.wait.max.ms", "5");
        // A poll in which a commit is reported returns nothing, as if its time were over.
        config.set("enable.auto.commit", "false");
        let consumer: BaseConsumer = config.create().expect("a consumer");
        let topic = kit.kafka.prefixed(topics::READINGS);
        let metadata = consumer.fetch_metadata(Some(&topic), Duration::from_secs(10)).expect("metadata");
        let partitions = metadata.topics()[0].partitions().len() as i32;
        let mut all = TopicPartitionList::new();
        for partition in 0..partitions {
            all.add_partition_offset(&topic, partition, Offset::Beginning).expect("an offset");
        }
        consumer.assign(&all).expect("assigned");
        // Nothing is fetched, and none of the machine used, until it is asked for.
        consumer.pause(&all).expect("paused");
        Self { consumer, topic, partitions }
    }

    pub(crate) fn count(&self) -> i64 {
        let end = |partition| self.consumer.fetch_watermarks(&self.topic, partition, Duration::from_secs(10)).expect("watermarks").1;
        (0..self.partitions).map(end).sum()
    }

    pub(crate) fn until(&self, count: usize) {
        let deadline = Instant::now() + Duration::from_mins(2);
        while self.count() < count as i64 {
            assert!(Instant::now() < deadline, "{} of {count} are in Kafka", self.count());
            // Asking costs the broker two requests for each partition.
            std::thread::sleep(Duration::from_millis(25));
        }
    }

    pub(crate) fn resume(&self) {
        self.consumer.resume(&self.consumer.assignment().expect("assignment")).expect("resumed");
    }

    /// The next `count` readings: how many came after a later one of their device, and each one's age in milliseconds.
    pub(crate) fn read(&self, count: usize, measured_at: impl Fn(&BorrowedMessage<'_>) -> Timestamp) -> (usize, Vec<f64>) {
        let (mut last, mut reordered, mut ages) = (HashMap::<Vec<u8>, Timestamp>::new(), 0, Vec::with_capacity(count));
        while ages.len() < count {
            let record = self.consumer.poll(Duration::from_secs(30)).expect("a record within 30 s").expect("no error");
            let now: Timestamp = SystemTime::now().into();
            let measured = measured_at(&record);
            ages.push(now.since(measured).as_secs_f64() * 1e3);
            let key = record.key().expect("a key").to_vec();
            match last.get_mut(&key) {
                Some(before) if *before > measured => reordered += 1,
                Some(before) => *before = measured,
                None => drop(last.insert(key, measured)),
            }
        }
        (reordered, ages)
    }
}

/// When the bridge says that a reading was measured.
pub(crate) fn ce_time(record: &BorrowedMessage<'_>) -> Timestamp {
    let headers = record.headers().expect("headers");
    let time = headers.iter().find(|header| header.key == "ce_time").and_then(|header| header.value).expect("ce_time");
    Timestamp::from_rfc3339(std::str::from_utf8(time).expect("text")).expect("a time")
}

pub(crate) fn now_micros() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_micros()
}
