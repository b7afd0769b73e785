use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};
use stream::KafkaConfig;

use crate::kafka_config;

/// The one broker.
const BROKER: i32 = 1;
const PARTITIONS: i32 = 3;

/// librdkafka's own cluster, inside the test: for what a real broker shared by all tests cannot do on demand.
pub struct MockKafka(MockCluster<'static, DefaultProducerContext>);

impl MockKafka {
    /// With `topic`, of three partitions.
    pub fn start(topic: &str) -> Self {
        let cluster = MockCluster::new(BROKER).expect("a cluster");
        cluster.create_topic(topic, PARTITIONS, 1).expect("a topic");
        Self(cluster)
    }

    pub fn brokers(&self) -> String {
        self.0.bootstrap_servers()
    }

    pub fn config(&self) -> KafkaConfig {
        KafkaConfig { brokers: self.brokers(), ..kafka_config() }
    }

    /// All values in a topic, those of a partition in their order.
    pub fn values(&self, topic: &str) -> Vec<Vec<u8>> {
        let config = [("bootstrap.servers", self.brokers().as_str()), ("group.id", "values"), ("enable.partition.eof", "true")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()));
        let consumer: BaseConsumer = config.into_iter().collect::<ClientConfig>().create().expect("a consumer");
        let mut partitions = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            partitions.add_partition_offset(topic, partition, Offset::Beginning).expect("a partition");
        }
        consumer.assign(&partitions).expect("partitions are assigned");
        let (mut values, mut ended) = (Vec::new(), 0);
        while ended < PARTITIONS {
            match consumer.poll(Duration::from_secs(10)).expect("the partitions have an end") {
                Ok(record) => values.push(record.payload().expect("a value").to_vec()),
                Err(KafkaError::PartitionEOF(_)) => ended += 1,
                Err(error) => panic!("{error}"),
            }
        }
        values
    }

    /// Answers every request so much later.
    pub fn slow(&self, by: Duration) {
        self.0.broker_round_trip_time(BROKER, by).expect("the broker slows down");
    }

    /// Refuses so many batches, as a broker that does not lead a partition yet.
    pub fn leads_after(&self, batches: usize) {
        let not_yet = vec![RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION; batches];
        self.0.request_errors(RDKafkaApiKey::Produce, &not_yet);
    }

    /// Every connection breaks and none is taken; what was acknowledged stays.
    pub fn down(&self) {
        self.0.broker_down(BROKER).expect("the broker goes down");
    }

    pub fn up(&self) {
        self.0.broker_up(BROKER).expect("the broker comes up");
    }
}
