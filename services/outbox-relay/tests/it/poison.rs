//! Rows that Kafka will never take.

use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use stream::admin::{Admin, Topic};
use testkit::eventually;

use crate::fixture::Fixture;
use crate::writers::{event, write};

/// Bytes that cannot be compressed. Of a topic's limit of 1 MiB the client says so above 1.2 MB, the broker below.
fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut payload = vec![0; bytes];
    StdRng::seed_from_u64(seed).fill_bytes(&mut payload);
    payload
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poison_row_holds_back_its_own_aggregate_alone() {
    let fixture = Fixture::new().await;
    let topic = &fixture.topic;
    let relay = fixture.relay(&[("OUTBOX_RELAY__RETRY__ATTEMPTS", "1000000")]).await;
    let held = [event(topic, "client", "1"), event(topic, "client", noise(1, 1_500_000)), event(topic, "client", "3")];
    write(&fixture.pool, &held).await;
    write(&fixture.pool, &[event(topic, "broker", "1"), event(topic, "broker", noise(2, 1_100_000)), event(topic, "broker", "3")]).await;
    write(&fixture.pool, &[event("no.such.topic", "topic", "1"), event(topic, "topic", "2")]).await;
    for n in 0..200 {
        write(&fixture.pool, &[event(topic, &format!("n-{}", n % 10), n.to_string())]).await;
    }
    fixture.until_count("only what is held is left", "SELECT count(*) FROM outbox", 6).await;

    let published = fixture.published().await;
    assert_eq!([published.of("client"), published.of("broker"), published.of("topic")], [vec!["1"], vec!["1"], vec![]]);
    assert_eq!(published.len(), 202, "the others, each once");
    assert_eq!(fixture.count("SELECT count(*) FROM outbox_dead").await, 0);
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poison_row_is_given_up_and_its_aggregate_goes_on() {
    let fixture = Fixture::new().await;
    let topic = &fixture.topic;
    let relay = fixture.relay(&[("OUTBOX_RELAY__RETRY__ATTEMPTS", "3"), ("OUTBOX_RELAY__RETRY__FIRST", "20ms")]).await;
    for (aggregate, bytes) in [("client", 1_500_000), ("broker", 1_100_000)] {
        write(&fixture.pool, &[event(topic, aggregate, "1"), event(topic, aggregate, noise(3, bytes)), event(topic, aggregate, "3")]).await;
    }
    write(&fixture.pool, &[event("no.such.topic", "topic", "1"), event(topic, "topic", "2")]).await;
    fixture.until_empty().await;
    relay.stop().await;

    let published = fixture.published().await;
    assert_eq!([published.of("client"), published.of("broker"), published.of("topic")], [vec!["1", "3"], vec!["1", "3"], vec!["2"]]);
    let dead = fixture.store().dead(10).await.unwrap();
    let mut told: Vec<(&str, i32, bool)> =
        dead.iter().map(|row| (row.aggregate_id.as_str(), row.attempts, row.error.contains("no.such.topic"))).collect();
    told.sort_unstable();
    assert_eq!(told, [("broker", 3, false), ("client", 3, false), ("topic", 3, true)], "{dead:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_made_later_takes_the_rows_that_waited_for_it() {
    let fixture = Fixture::new().await;
    let later = Topic { name: fixture.kit.kafka.prefixed("later"), partitions: 1, config: [].into() };
    let relay = fixture.relay(&[("OUTBOX_RELAY__RETRY__ATTEMPTS", "1000000"), ("OUTBOX_RELAY__RETRY__LONGEST", "100ms")]).await;
    write(&fixture.pool, &[event(&later.name, "n-1", "1"), event(&later.name, "n-1", "2"), event(&fixture.topic, "n-2", "1")]).await;
    fixture.until_count("what can be published is", "SELECT count(*) FROM outbox", 2).await;
    let admin = Admin::connect(&fixture.kit.kafka).unwrap();
    admin.apply(std::slice::from_ref(&later), 1).await.unwrap();
    fixture.until_empty().await;
    relay.stop().await;
    let records = fixture.records(&later.name).await;
    assert_eq!(records.into_iter().map(|record| record.value.unwrap()).collect::<Vec<_>>(), [b"1", b"2"]);
    admin.delete(&[later.name]).await.unwrap();
}

/// A broker rejects whole record batches: rows that were only sent together with too much, also by another lane, are
/// published all the same. Two of these are too much.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_rejected_for_the_sake_of_others_are_not_given_up() {
    let fixture = Fixture::new().await;
    let limit = [("max.message.bytes".to_owned(), "20000".to_owned())];
    let narrow = Topic { name: fixture.kit.kafka.prefixed("narrow"), partitions: 1, config: limit.into() };
    let admin = Admin::connect(&fixture.kit.kafka).unwrap();
    admin.apply(std::slice::from_ref(&narrow), 1).await.unwrap();
    let events: Vec<_> = (0..60).map(|n| event(&narrow.name, &format!("n-{n}"), noise(n, 11_000))).collect();
    write(&fixture.pool, &events).await;
    let relay = fixture.relay(&[("OUTBOX_RELAY__RETRY__ATTEMPTS", "1"), ("OUTBOX_RELAY__RETRY__FIRST", "20ms")]).await;
    eventually("the outbox is empty", || async { (fixture.pending().await == 0).then_some(()) }).await;
    relay.stop().await;
    assert_eq!(fixture.count("SELECT count(*) FROM outbox_dead").await, 0);
    assert_eq!(fixture.records(&narrow.name).await.len(), 60);
    admin.delete(&[narrow.name]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_of_a_type_that_blocks_is_never_given_up() {
    let fixture = Fixture::new().await;
    let mut blocking = event("no.such.topic", "n-1", "1");
    blocking.event_type = "precious.v1".into();
    let config = [
        ("OUTBOX_RELAY__RETRY__ATTEMPTS", "1"),
        ("OUTBOX_RELAY__RETRY__FIRST", "1ms"),
        ("OUTBOX_RELAY__RETRY__LONGEST", "5ms"),
        ("OUTBOX_RELAY__RETRY__BLOCK", "[\"precious.v1\"]"),
    ];
    let relay = fixture.relay(&config).await;
    write(&fixture.pool, &[blocking, event(&fixture.topic, "n-1", "2")]).await;
    write(&fixture.pool, &[event("no.such.topic", "n-2", "1")]).await;
    fixture.until_count("what does not block is given up", "SELECT count(*) FROM outbox_dead", 1).await;
    assert_eq!(fixture.pending().await, 2);
    assert_eq!(fixture.count("SELECT count(*) FROM outbox_dead WHERE type = 'precious.v1'").await, 0);
    relay.stop().await;
}
