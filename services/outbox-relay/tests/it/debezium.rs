//! The table as Debezium's outbox event router reads it: either may publish an outbox.

use std::collections::BTreeMap;

use testkit::{Debezium, eventually_within};

use crate::fixture::Fixture;
use crate::writers::{finish, start_writers};

/// Per key, the values in their order.
type Values = BTreeMap<Vec<u8>, Vec<Vec<u8>>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Debezium Server: scripts/test --full debezium"]
async fn debezium_publishes_the_same_keys_values_and_order() {
    let seed = testkit::seeds()[0];
    let fixture = Fixture::new().await;
    let other = format!("debezium-{}", fixture.topic);
    fixture.create_topic(&other).await;
    let debezium = Debezium::start(&fixture.pool, &fixture.database.url, "debezium-").await;
    let relay = fixture.relay(&[]).await;
    finish(start_writers(&fixture.pool, &fixture.topic, seed, 3, 60)).await;
    fixture.until_empty().await;
    let ours = values(&fixture, &fixture.topic).await;
    assert!(ours.values().map(Vec::len).sum::<usize>() > 500, "seed {seed}");
    let theirs = eventually_within(std::time::Duration::from_mins(1), "Debezium has published as much", || async {
        let theirs = values(&fixture, &other).await;
        (theirs.values().map(Vec::len).sum::<usize>() >= ours.values().map(Vec::len).sum()).then_some(theirs)
    })
    .await;
    assert_eq!(ours, theirs, "seed {seed}");
    relay.stop().await;
    debezium.end().await;
}

async fn values(fixture: &Fixture, topic: &str) -> Values {
    let mut values = Values::new();
    for record in fixture.records(topic).await {
        values.entry(record.key.unwrap_or_default()).or_default().push(record.value.unwrap_or_default());
    }
    values
}
