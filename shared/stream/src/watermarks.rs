use std::time::Duration;

use rdkafka::consumer::{Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

use crate::bootstrap::Bootstrap;

/// The first offset of a partition and the one after its last. A client that asks while the partition has no leader, because
/// a broker has just died, keeps that answer as final: whoever asks again is told `UnknownPartition` from its cache, for a
/// quarter of an hour. So it is made to look who leads now, and asked once more. A client that nobody polls while it asks
/// does not hear either that it has lost every broker.
pub(crate) fn watermarks<C: ConsumerContext + AsRef<Bootstrap>>(
    consumer: &impl Consumer<C>,
    topic: &str,
    partition: i32,
    timeout: Duration,
) -> KafkaResult<(i64, i64)> {
    let found = match consumer.fetch_watermarks(topic, partition, timeout) {
        Err(error) if is_of_the_past(&error) => {
            consumer.fetch_metadata(Some(topic), timeout).and_then(|_| consumer.fetch_watermarks(topic, partition, timeout))
        }
        found => found,
    };
    found.inspect_err(|_| (**consumer.context()).as_ref().again())
}

/// What a client says of a leader that it remembers, or that the cluster has not agreed on yet.
fn is_of_the_past(error: &KafkaError) -> bool {
    matches!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::UnknownPartition | RDKafkaErrorCode::NotLeaderForPartition))
}

#[cfg(test)]
mod tests {
    use rdkafka::ClientConfig;
    use rdkafka::consumer::BaseConsumer;
    use rdkafka::mocking::MockCluster;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    #[test]
    fn what_is_wrong_now_is_not_of_the_past() {
        assert!(!is_of_the_past(&KafkaError::MetadataFetch(RDKafkaErrorCode::AllBrokersDown)));
    }

    #[test]
    fn a_client_that_asked_while_nobody_led_hears_of_the_new_leader() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("readings", 1, 1).unwrap();
        let consumer: BaseConsumer<Bootstrap> =
            Bootstrap::consumer(ClientConfig::new().set("bootstrap.servers", cluster.bootstrap_servers())).unwrap();
        cluster.partition_leader("readings", 0, None).unwrap();
        let error = watermarks(&consumer, "readings", 0, TIMEOUT).unwrap_err();
        assert_eq!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::UnknownPartition));
        cluster.partition_leader("readings", 0, Some(1)).unwrap();
        assert_eq!(watermarks(&consumer, "readings", 0, TIMEOUT).unwrap(), (0, 0));
    }
}
