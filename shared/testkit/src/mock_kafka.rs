use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

/// The one broker.
const BROKER: i32 = 1;

/// librdkafka's own cluster, inside the test: for what a real broker shared by all tests cannot do on demand.
pub struct MockKafka(MockCluster<'static, DefaultProducerContext>);

impl MockKafka {
    /// With `topic`, of three partitions.
    pub fn start(topic: &str) -> Self {
        let cluster = MockCluster::new(BROKER).expect("a cluster");
        cluster.create_topic(topic, 3, 1).expect("a topic");
        Self(cluster)
    }

    pub fn brokers(&self) -> String {
        self.0.bootstrap_servers()
    }

    /// Answers every request so much later.
    pub fn slow(&self, by: std::time::Duration) {
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
