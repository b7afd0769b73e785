//! In order per aggregate, exactly what was committed, deleted only once acknowledged.

use tokio::task::JoinHandle;

use crate::fixture::{Fixture, with_seeds};
use crate::writers::{finish, start_writers};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_writers_at_once_and_every_aggregate_is_in_order() {
    with_seeds(relay_three_writers).await;
}

async fn relay_three_writers(seed: u64) {
    let fixture = Fixture::new().await;
    let relay = fixture.relay(&[]).await;
    finish(start_writers(&fixture.pool, &fixture.topic, seed, 3, 100)).await;
    fixture.until_empty().await;
    relay.stop().await;

    let written = fixture.written().await;
    assert_eq!(written.aggregates(), 12);
    assert_eq!(fixture.published().await, written, "each once, for nothing failed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_deleted_is_in_the_topic() {
    with_seeds(compare_while_relaying).await;
}

async fn compare_while_relaying(seed: u64) {
    let fixture = Fixture::new().await;
    let relay = fixture.relay(&[("OUTBOX_RELAY__RELAY__BATCH", "20")]).await;
    let writers = start_writers(&fixture.pool, &fixture.topic, seed, 2, 50);
    let mut half_done = false;
    while !(half_done && fixture.pending().await == 0 && writers.iter().all(JoinHandle::is_finished)) {
        // What is deleted now has to be in the topic a moment later.
        let deleted = fixture.deleted().await;
        let published = fixture.published().await;
        for (aggregate, payload) in &deleted {
            assert!(published.contains(aggregate, payload), "{aggregate}: {} was deleted", String::from_utf8_lossy(payload));
        }
        half_done |= !deleted.is_empty();
    }
    finish(writers).await;
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_of_one_aggregate_goes_out_in_order() {
    let fixture = Fixture::new().await;
    let insert = "INSERT INTO outbox (event_id, aggregate_type, aggregate_id, type, topic, payload)
                  SELECT gen_random_uuid(), 'notification', 'n-1', 't', $1, convert_to(n::text, 'UTF8') FROM generate_series(1, 20000) n";
    sqlx::query(insert).bind(&fixture.topic).execute(&fixture.pool).await.unwrap();
    let relay = fixture.relay(&[]).await;
    fixture.until_empty().await;
    relay.stop().await;
    assert_eq!(fixture.published().await, fixture.written().await);
}
