//! The limit: four loops that read, send, await and delete, each its quarter of the ids. No leases, no order of an
//! aggregate's events, no care for transactions that commit late, nothing held back.

use std::collections::BTreeMap;
use std::time::Instant;

use sqlx::{PgPool, Row as _};
use stream::producer::GiveUp;
use stream::{OutRecord, Publisher};

const LOOPS: i64 = 4;
/// As many rows as a batch of the relay's has.
const BATCH: i64 = 2_000;

/// Rows a second.
pub(crate) async fn drain(pool: &PgPool) -> f64 {
    let (first, last): (i64, i64) = sqlx::query_as("SELECT min(id), max(id) FROM outbox").fetch_one(pool).await.unwrap();
    let publisher = Publisher::connect(&testkit::kafka_config(), "bare", GiveUp::Never).unwrap();
    let (began, rows) = (Instant::now(), last - first + 1);
    let loops = (0..LOOPS).map(|quarter| {
        let (pool, publisher) = (pool.clone(), publisher.clone());
        tokio::spawn(async move {
            let (mut after, until) = (first - 1 + rows * quarter / LOOPS, first - 1 + rows * (quarter + 1) / LOOPS);
            while after < until {
                after = batch(&pool, &publisher, after, until).await;
            }
        })
    });
    for ended in loops.collect::<Vec<_>>() {
        ended.await.unwrap();
    }
    rows as f64 / began.elapsed().as_secs_f64()
}

/// Returns the last id.
async fn batch(pool: &PgPool, publisher: &Publisher, after: i64, until: i64) -> i64 {
    let read = "SELECT id, topic, aggregate_id, payload, headers::text FROM outbox WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3";
    let rows = sqlx::query(read).bind(after).bind(until).bind(BATCH).fetch_all(pool).await.unwrap();
    let (mut ids, mut deliveries) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
    for row in &rows {
        ids.push(row.get::<i64, _>("id"));
        let headers: BTreeMap<String, String> = serde_json::from_str(row.get("headers")).unwrap();
        let record =
            OutRecord::new(row.get::<String, _>("topic"), Some(row.get::<&str, _>("aggregate_id").into()), Some(row.get("payload")));
        let record = headers.iter().fold(record, |record, (name, value)| record.header(name, Some(value.as_bytes())));
        deliveries.push(publisher.enqueue_when_room(record).await.unwrap());
    }
    for delivery in deliveries {
        delivery.await.unwrap();
    }
    sqlx::query("DELETE FROM outbox WHERE id = ANY ($1)").bind(&ids).execute(pool).await.unwrap();
    *ids.last().expect("there are rows up to the last id")
}
