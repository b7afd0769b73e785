//! A topic as it lies on the broker, open and aborted transactions included, and the means to make its writers fail.

use std::collections::HashMap;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::{Kit, eventually};

const TIMEOUT: Duration = Duration::from_secs(10);

fn consumer(kit: &Kit, isolation: &str) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &kit.kafka.brokers)
        .set("group.id", kit.kafka.prefixed("testkit-log"))
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", isolation);
    config.create().expect("a consumer")
}

fn partitions(consumer: &BaseConsumer, topic: &str) -> i32 {
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT).expect("the topic is known");
    i32::try_from(metadata.topics()[0].partitions().len()).expect("few partitions")
}

/// Every value of a topic (without prefix) that was ever appended, with how often: aborted transactions count too.
pub fn appended(kit: &Kit, topic: &str) -> HashMap<Vec<u8>, usize> {
    let (consumer, topic) = (consumer(kit, "read_uncommitted"), kit.kafka.prefixed(topic));
    let count = partitions(&consumer, &topic);
    let mut all = TopicPartitionList::new();
    for partition in 0..count {
        all.add_partition_offset(&topic, partition, Offset::Beginning).expect("an offset");
    }
    consumer.assign(&all).expect("the topic is read");
    let (mut values, mut at_end) = (HashMap::new(), 0);
    while at_end < count {
        match consumer.poll(TIMEOUT).expect("the topic has an end") {
            Ok(message) => *values.entry(message.payload().unwrap_or_default().to_vec()).or_default() += 1,
            Err(KafkaError::PartitionEOF(_)) => at_end += 1,
            Err(error) => panic!("{topic}: {error}"),
        }
    }
    values
}

/// Waits until no transaction on a topic (without prefix) is open: until then a reader of what is committed stops before it.
/// What a killed process left open ends with its timeout.
pub async fn settled(kit: &Kit, topic: &str) {
    let (committed, all) = (consumer(kit, "read_committed"), consumer(kit, "read_uncommitted"));
    let topic = kit.kafka.prefixed(topic);
    let count = partitions(&all, &topic);
    let end = |consumer: &BaseConsumer, partition| consumer.fetch_watermarks(&topic, partition, TIMEOUT).expect("watermarks").1;
    eventually("transactions end", || {
        let settled = (0..count).all(|partition| end(&committed, partition) == end(&all, partition));
        async move { settled.then_some(()) }
    })
    .await;
}

/// Whether every partition of the cluster has all of its replicas in sync; not while that cannot be told.
pub fn is_in_sync(kit: &Kit) -> bool {
    let Ok(metadata) = consumer(kit, "read_committed").fetch_metadata(None, TIMEOUT) else { return false };
    let mut partitions = metadata.topics().iter().flat_map(rdkafka::metadata::MetadataTopic::partitions);
    partitions.all(|partition| partition.isr().len() == partition.replicas().len())
}

/// Enough for the marker that ends a transaction (78 bytes), which must get through, and for no batch of records.
const MARKERS_ONLY: &str = "100";

/// Lets a topic (without prefix) take no record, or any again: its writers' transactions abort meanwhile.
pub async fn refuse_records(kit: &Kit, topic: &str, refused: bool) {
    alter(kit, topic, "max.message.bytes", if refused { MARKERS_ONLY } else { "1048588" }).await;
}

/// Gives each record of a topic (without prefix) from now on the broker's time of appending it, in milliseconds.
pub async fn stamp_on_append(kit: &Kit, topic: &str) {
    alter(kit, topic, "message.timestamp.type", "LogAppendTime").await;
}

async fn alter(kit: &Kit, topic: &str, key: &str, value: &str) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &kit.kafka.brokers).create().expect("an admin client");
    let topic = kit.kafka.prefixed(topic);
    let change = AlterConfig::new(ResourceSpecifier::Topic(&topic)).set(key, value);
    let changed = admin.alter_configs([&change], &AdminOptions::new()).await.expect("the topic is changed");
    for result in changed {
        result.expect("the topic is changed");
    }
    // The controller has it; the broker hears of it a moment later, and until then goes on as before.
    crate::eventually(&format!("the broker has {key} = {value}"), || async {
        let described = admin.describe_configs([&ResourceSpecifier::Topic(&topic)], &AdminOptions::new()).await.ok()?;
        let resource = described.into_iter().next()?.ok()?;
        (resource.get(key)?.value.as_deref() == Some(value)).then_some(())
    })
    .await;
}
