//! What a producer's first records meet.

use std::time::Duration;

use stream::producer::GiveUp;
use stream::{OutRecord, Publisher};
use testkit::MockKafka;

const TOPIC: &str = "readings";
const KEYS: usize = 4;

/// A broker that is about to lead refuses a batch and takes the one behind it; see the module `introductions`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_record_is_there_where_its_partition_was_not_led_yet() {
    const ROUNDS: usize = 5;
    for refused in 1..=3 {
        let mock = MockKafka::start(TOPIC);
        // So that several batches are under way.
        mock.slow(Duration::from_millis(30));
        mock.leads_after(refused);
        let publisher = Publisher::connect_unbatched(&mock.config(), "test", GiveUp::After(Duration::from_secs(20))).unwrap();
        let mut deliveries = Vec::new();
        for value in 0..ROUNDS {
            for key in 0..KEYS {
                let record = OutRecord::new(TOPIC, Some(format!("key-{key}").into_bytes()), Some(format!("{key} {value}").into_bytes()));
                deliveries.push(publisher.enqueue_when_room(record).await.unwrap());
            }
        }
        for delivery in deliveries {
            let (_, offset) = delivery.await.unwrap();
            assert!(offset >= 0, "Kafka itself has not said that it has the record");
        }
        let found = tokio::task::block_in_place(|| mock.values(TOPIC));
        for key in 0..KEYS {
            let values = found.iter().filter_map(|value| std::str::from_utf8(value).unwrap().strip_prefix(&format!("{key} ")));
            let values: Vec<usize> = values.map(|value| value.parse().unwrap()).collect();
            assert_eq!(values, (0..ROUNDS).collect::<Vec<_>>(), "key {key} with {refused} refused");
        }
        tokio::task::block_in_place(|| drop(publisher));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_without_a_key_go_everywhere() {
    let mock = MockKafka::start(TOPIC);
    let publisher = Publisher::connect(&mock.config(), "test", GiveUp::After(Duration::from_secs(20))).unwrap();
    let mut partitions = Vec::new();
    for _ in 0..9 {
        partitions.push(publisher.send(OutRecord::new(TOPIC, None, None)).await.unwrap().0);
    }
    partitions.sort_unstable();
    assert_eq!(partitions, [0, 0, 0, 1, 1, 1, 2, 2, 2]);
    tokio::task::block_in_place(|| drop(publisher));
}
