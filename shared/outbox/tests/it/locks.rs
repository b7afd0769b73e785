//! Commit order is id order, for each aggregate.

use std::time::Duration;

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::database::{Database, event};

#[tokio::test]
async fn writers_of_one_aggregate_take_turns() {
    let database = Database::new().await;
    let mut first = database.pool.begin().await.unwrap();
    outbox::enqueue(&mut first, &[event("n-1", "first")]).await.unwrap();

    let pool = database.pool.clone();
    let second = tokio::spawn(async move {
        let mut second = pool.begin().await.unwrap();
        outbox::enqueue(&mut second, &[event("n-1", "second")]).await.unwrap();
        second.commit().await.unwrap();
    });
    database.until_one_waits().await;
    assert_eq!(database.rows().await, [], "nothing is visible before the first commits");
    outbox::enqueue(&mut first, &[event("n-1", "first again")]).await.unwrap();
    first.commit().await.unwrap();
    second.await.unwrap();

    let payloads: Vec<_> = database.rows().await.into_iter().map(|(_, _, payload)| String::from_utf8(payload).unwrap()).collect();
    assert_eq!(payloads, ["first", "first again", "second"]);
}

#[tokio::test]
async fn writers_of_different_aggregates_do_not_wait() {
    let database = Database::new().await;
    let mut first = database.pool.begin().await.unwrap();
    outbox::enqueue(&mut first, &[event("n-1", "first")]).await.unwrap();
    let mut second = database.pool.begin().await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), outbox::enqueue(&mut second, &[event("n-2", "second")])).await.unwrap().unwrap();
    second.commit().await.unwrap();
    first.commit().await.unwrap();
    assert_eq!(database.rows().await.len(), 2);
}

#[tokio::test]
async fn calls_with_the_same_aggregates_never_deadlock() {
    for seed in testkit::seeds() {
        write_the_same_aggregates(seed).await;
    }
}

async fn write_the_same_aggregates(seed: u64) {
    let database = Database::new().await;
    let writers: Vec<_> = (0..6)
        .map(|writer| {
            let (pool, mut random) = (database.pool.clone(), StdRng::seed_from_u64(seed.wrapping_add(writer)));
            tokio::spawn(async move {
                for _ in 0..40 {
                    let mut aggregates: Vec<String> = (0..8).map(|n| format!("n-{n}")).collect();
                    aggregates.shuffle(&mut random);
                    aggregates.truncate(random.random_range(2..=8));
                    let events: Vec<_> = aggregates.iter().map(|aggregate| event(aggregate, "x")).collect();
                    let mut transaction = pool.begin().await.unwrap();
                    outbox::enqueue(&mut transaction, &events).await.unwrap();
                    transaction.commit().await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
}
