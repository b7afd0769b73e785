//! What a transaction leaves behind.

use std::collections::BTreeMap;

use outbox::Slots;
use sqlx::types::Json;
use uuid::Uuid;

use crate::database::{Database, event};

type Row = (Uuid, String, String, String, String, Vec<u8>, Json<BTreeMap<String, String>>);

#[tokio::test]
async fn events_of_one_call_keep_their_order() {
    let database = Database::new().await;
    let events: Vec<_> = (0..500_u32).map(|n| event(&format!("n-{}", n % 7), n.to_be_bytes())).collect();
    let mut transaction = database.pool.begin().await.unwrap();
    outbox::enqueue(&mut transaction, &events).await.unwrap();
    transaction.commit().await.unwrap();

    let rows = database.rows().await;
    let payloads: Vec<&Vec<u8>> = rows.iter().map(|(_, _, payload)| payload).collect();
    assert_eq!(payloads, events.iter().map(|event| &event.payload).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_row_holds_all_that_the_event_says() {
    let database = Database::new().await;
    let mut sent = event("n-1", [0, 1, 2, 255]);
    sent.headers.insert("traceparent".into(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into());
    let mut transaction = database.pool.begin().await.unwrap();
    outbox::enqueue(&mut transaction, std::slice::from_ref(&sent)).await.unwrap();
    transaction.commit().await.unwrap();

    let columns = "SELECT event_id, aggregate_type, aggregate_id, type, topic, payload, headers FROM outbox";
    let row: Row = sqlx::query_as(columns).fetch_one(&database.pool).await.unwrap();
    assert_eq!(row, (sent.event_id, sent.aggregate_type, sent.aggregate_id, sent.event_type, sent.topic, sent.payload, Json(sent.headers)));
}

#[tokio::test]
async fn a_rolled_back_transaction_leaves_no_event() {
    let database = Database::new().await;
    let mut transaction = database.pool.begin().await.unwrap();
    outbox::enqueue(&mut transaction, &[event("n-1", "never")]).await.unwrap();
    transaction.rollback().await.unwrap();
    assert_eq!(database.rows().await, []);
}

#[tokio::test]
async fn a_row_needs_no_more_than_the_documented_columns() {
    let database = Database::new().await;
    sqlx::query(
        "INSERT INTO outbox (event_id, aggregate_type, aggregate_id, type, topic, payload)
         SELECT gen_random_uuid(), 'device', 'sensor-' || n, 'fieldwatch.reading.v1', 'telemetry.readings.v1', 'x'
         FROM generate_series(1, 1000) n",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    let (slots, outside, headers): (i64, i64, i64) = sqlx::query_as(
        "SELECT count(DISTINCT slot), count(*) FILTER (WHERE slot NOT IN (SELECT slot FROM outbox_lease)),
                count(*) FILTER (WHERE headers = '{}' AND created_at <= now())
         FROM outbox",
    )
    .fetch_one(&database.pool)
    .await
    .unwrap();
    assert_eq!((slots, outside, headers), (64, 0, 1000), "slots used, rows outside every lease, rows with defaults");
}

#[tokio::test]
async fn no_events_need_no_statement() {
    let database = Database::empty().await;
    let mut transaction = database.pool.begin().await.unwrap();
    assert_eq!(outbox::enqueue(&mut transaction, &[]).await.unwrap(), Slots::default());
    transaction.commit().await.unwrap();
}
