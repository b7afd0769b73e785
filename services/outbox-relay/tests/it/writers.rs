//! Writers as services have them: transactions of several events, some of which never commit.

use std::collections::BTreeMap;

use outbox::{OutboxEvent, Slots};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sqlx::PgPool;
use tokio::task::JoinHandle;
use uuid::Uuid;

pub(crate) fn event(topic: &str, aggregate_id: &str, payload: impl Into<Vec<u8>>) -> OutboxEvent {
    OutboxEvent {
        event_id: Uuid::now_v7(),
        aggregate_type: "notification".into(),
        aggregate_id: aggregate_id.into(),
        event_type: "fieldwatch.notification.v1".into(),
        topic: topic.into(),
        payload: payload.into(),
        headers: BTreeMap::from([("ce_type".to_owned(), "fieldwatch.notification.v1".to_owned())]),
    }
}

/// Commits `events` in one transaction.
pub(crate) async fn write(pool: &PgPool, events: &[OutboxEvent]) -> Slots {
    let mut transaction = pool.begin().await.unwrap();
    let slots = outbox::enqueue(&mut transaction, events).await.unwrap();
    transaction.commit().await.unwrap();
    slots
}

/// Begins to write `transactions` transactions of 1 to 9 events about 12 aggregates; one in ten is rolled back.
pub(crate) fn start_writer(pool: &PgPool, topic: &str, name: u64, seed: u64, transactions: usize) -> JoinHandle<()> {
    let (pool, topic, mut random) = (pool.clone(), topic.to_owned(), StdRng::seed_from_u64(seed.wrapping_add(name)));
    tokio::spawn(async move {
        for transaction in 0..transactions {
            let count = random.random_range(1..=9);
            let events: Vec<OutboxEvent> = (0..count)
                .map(|n| event(&topic, &format!("n-{}", random.random_range(0..12)), format!("{name}/{transaction}/{n}")))
                .collect();
            let mut open = pool.begin().await.unwrap();
            outbox::enqueue(&mut open, &events).await.unwrap();
            if random.random_ratio(1, 10) { open.rollback().await.unwrap() } else { open.commit().await.unwrap() }
        }
    })
}

pub(crate) fn start_writers(pool: &PgPool, topic: &str, seed: u64, writers: u64, transactions: usize) -> Vec<JoinHandle<()>> {
    (0..writers).map(|name| start_writer(pool, topic, name, seed, transactions)).collect()
}

pub(crate) async fn finish(writers: Vec<JoinHandle<()>>) {
    for writer in writers {
        writer.await.unwrap();
    }
}
