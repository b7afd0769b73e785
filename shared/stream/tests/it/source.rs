use std::sync::{Arc, Mutex};
use std::time::Duration;

use events::topics;
use stream::producer::GiveUp;
use stream::source::{Acknowledge, source};
use stream::{Failure, OutRecord, Publisher};
use testkit::{Kit, capture};

/// Notes its number when acknowledged.
struct Ack(usize, Arc<Mutex<Vec<usize>>>);

impl Acknowledge for Ack {
    async fn acknowledge(self) -> Result<(), Failure> {
        self.1.lock().unwrap().push(self.0);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_acknowledged_in_the_order_they_came_after_all_their_records_are_in_kafka() {
    let kit = Kit::with_topics(&[topics::READINGS]).await;
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let (source, releaser) = source(kit.publisher(), 1 << 20, 1_000);
    let releasing = std::thread::spawn(move || tokio::runtime::Runtime::new().unwrap().block_on(releaser.run()));
    for message in 0..500 {
        let records = (0..message % 4).map(|part| {
            let key = format!("sensor-{}", message % 7).into_bytes();
            OutRecord::new(kit.kafka.prefixed(topics::READINGS), Some(key), Some(format!("{message}/{part}").into_bytes()))
        });
        source.accept(records.collect(), 100, Ack(message, Arc::clone(&acknowledged))).await.unwrap();
    }
    drop(source);
    releasing.join().unwrap().unwrap();
    assert_eq!(*acknowledged.lock().unwrap(), (0..500).collect::<Vec<_>>());
    assert_eq!(capture(&kit, topics::READINGS).rest().await.len(), (0..500).map(|message| message % 4).sum::<usize>());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_acknowledged_while_kafka_is_away_and_what_is_taken_stays_bounded() {
    let kit = Kit::with_topics(&[topics::READINGS]).await;
    let mut away = kit.kafka.clone();
    away.brokers = format!("127.0.0.1:{}", testkit::free_port());
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let (source, releaser) = source(Publisher::connect(&away, "away", GiveUp::Never).unwrap(), 1_000, 1_000);
    std::thread::spawn(move || tokio::runtime::Runtime::new().unwrap().block_on(releaser.run()));
    let record = || vec![OutRecord::new("anything", None, Some(b"x".to_vec()))];
    for message in 0..10 {
        source.accept(record(), 100, Ack(message, Arc::clone(&acknowledged))).await.unwrap();
    }
    let eleventh = source.accept(record(), 100, Ack(10, Arc::clone(&acknowledged)));
    assert!(tokio::time::timeout(Duration::from_millis(300), eleventh).await.is_err(), "the bound of 1,000 bytes is reached");
    assert_eq!(source.bytes_in_flight(), 1_000);
    assert!(acknowledged.lock().unwrap().is_empty());
}
