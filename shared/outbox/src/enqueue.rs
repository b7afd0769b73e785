//! Rows into the caller's transaction.
//!
//! Guarantees: the events exist if and only if the transaction commits; an aggregate's rows become visible in id order.
//! Refuses: a connection without a transaction, and a NOTIFY (it would serialise every writer's commit).

use sqlx::types::Json;
use sqlx::{Postgres, Transaction};

use crate::{OutboxEvent, Slots};

const INSERT: &str = "
    WITH inserted AS (
        INSERT INTO outbox (event_id, aggregate_type, aggregate_id, type, topic, payload, headers)
        SELECT event_id, aggregate_type, aggregate_id, type, topic, payload, headers
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::jsonb[])
            WITH ORDINALITY AS e (event_id, aggregate_type, aggregate_id, type, topic, payload, headers, position)
        ORDER BY position
        RETURNING slot)
    SELECT bit_or(1::bigint << slot) FROM inserted";

/// Adds `events`, in their order, to what `transaction` will commit; returns whom to [`wake`](crate::wake) then.
///
/// Holds a lock on each event's aggregate until the transaction ends, so call it once, late, with all its events: two
/// transactions that call it several times may wait for each other, and Postgres then fails one with 40P01.
pub async fn enqueue(transaction: &mut Transaction<'_, Postgres>, events: &[OutboxEvent]) -> Result<Slots, sqlx::Error> {
    if events.is_empty() {
        return Ok(Slots::default());
    }
    let aggregate_types: Vec<&str> = events.iter().map(|event| event.aggregate_type.as_str()).collect();
    let aggregate_ids: Vec<&str> = events.iter().map(|event| event.aggregate_id.as_str()).collect();
    // A statement of its own: ids are drawn only once every lock is held.
    sqlx::query("SELECT outbox_lock($1, $2)").bind(&aggregate_types).bind(&aggregate_ids).execute(&mut **transaction).await?;
    let slots: i64 = sqlx::query_scalar(INSERT)
        .bind(events.iter().map(|event| event.event_id).collect::<Vec<_>>())
        .bind(aggregate_types)
        .bind(aggregate_ids)
        .bind(events.iter().map(|event| event.event_type.as_str()).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.topic.as_str()).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.payload.as_slice()).collect::<Vec<_>>())
        .bind(events.iter().map(|event| Json(&event.headers)).collect::<Vec<_>>())
        .fetch_one(&mut **transaction)
        .await?;
    Ok(Slots::from_bits(slots as u64))
}
