//! What a producer's first records meet.

use std::time::Duration;

use stream::producer::GiveUp;
use stream::tail::{From, Seen, Tail};
use stream::{KafkaConfig, OutRecord, Publisher};
use testkit::MockKafka;

const TOPIC: &str = "readings";
const KEYS: [&str; 4] = ["a", "b", "c", "d"];

/// The values of each key in the topic, in their order.
async fn values(kafka: &KafkaConfig, count: usize) -> Vec<Vec<usize>> {
    let mut tail = tokio::task::block_in_place(|| Tail::open(kafka, "test", TOPIC, &From::Beginning)).unwrap();
    let mut values = vec![Vec::new(); KEYS.len()];
    let read = async {
        while values.iter().map(Vec::len).sum::<usize>() < count {
            if let Ok(Seen::Record(record)) = tail.next().await {
                let key = KEYS.iter().position(|key| record.key.as_deref() == Some(key.as_bytes())).unwrap();
                values[key].push(String::from_utf8(record.value.unwrap()).unwrap().parse().unwrap());
            }
        }
    };
    let all = tokio::time::timeout(Duration::from_secs(10), read).await;
    tokio::task::block_in_place(|| drop(tail));
    assert!(all.is_ok(), "{values:?} is all there is");
    values
}

/// A broker that is about to lead refuses a batch and takes the one behind it; see the module `introductions`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_record_is_there_where_its_partition_was_not_led_yet() {
    const ROUNDS: usize = 5;
    for refused in 1..=3 {
        let mock = MockKafka::start(TOPIC);
        let kafka = KafkaConfig { brokers: mock.brokers(), ..testkit::kafka_config() };
        // So that several batches are under way.
        mock.slow(Duration::from_millis(30));
        mock.leads_after(refused);
        let publisher = Publisher::connect_unbatched(&kafka, "test", GiveUp::After(Duration::from_secs(20))).unwrap();
        let mut deliveries = Vec::new();
        for value in 0..ROUNDS {
            for key in KEYS {
                let record = OutRecord::new(TOPIC, Some(key.into()), Some(value.to_string().into_bytes()));
                deliveries.push(publisher.enqueue_when_room(record).await.unwrap());
            }
        }
        for delivery in deliveries {
            let (_, offset) = delivery.await.unwrap();
            assert!(offset >= 0, "Kafka itself has not said that it has the record");
        }
        let found = values(&kafka, ROUNDS * KEYS.len()).await;
        assert!(found.iter().all(|values| values.iter().copied().eq(0..ROUNDS)), "with {refused} refused: {found:?}");
        tokio::task::block_in_place(|| drop(publisher));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_without_a_key_go_everywhere() {
    let mock = MockKafka::start(TOPIC);
    let kafka = KafkaConfig { brokers: mock.brokers(), ..testkit::kafka_config() };
    let publisher = Publisher::connect(&kafka, "test", GiveUp::After(Duration::from_secs(20))).unwrap();
    let mut partitions = Vec::new();
    for _ in 0..9 {
        partitions.push(publisher.send(OutRecord::new(TOPIC, None, None)).await.unwrap().0);
    }
    partitions.sort_unstable();
    assert_eq!(partitions, [0, 0, 0, 1, 1, 1, 2, 2, 2]);
    tokio::task::block_in_place(|| drop(publisher));
}
