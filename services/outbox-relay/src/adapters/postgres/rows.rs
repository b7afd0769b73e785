//! Pending rows out of the outbox: read in order, deleted by their ids and under the lease they were read with.
//!
//! A cursor ("everything up to id N") would lose rows: ids become visible out of order when writers commit out of order.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::types::Json;
use stream::Failure;

use super::{Store, classify};
use crate::domain::{Aggregate, Lease, Row, RowId, Slot};

type Columns = (i64, i16, String, String, String, Vec<u8>, Json<BTreeMap<String, serde_json::Value>>);

/// Each slot is read through its own range of the index: what waits in other slots costs nothing. The hashed `NOT IN`
/// keeps the range's order, which lets the limit end it. A payload's length is known without reading the payload.
const PENDING: &str = "
    SELECT id, slot, aggregate_type, aggregate_id, topic, payload, headers
    FROM (
        SELECT o.*, sum(octet_length(o.payload)) OVER (ORDER BY o.id) - octet_length(o.payload) AS bytes_before
        FROM unnest($1::smallint[]) AS leased (slot)
        CROSS JOIN LATERAL (
            SELECT * FROM outbox
            WHERE outbox.slot = leased.slot
              AND (outbox.aggregate_type, outbox.aggregate_id) NOT IN (SELECT * FROM unnest($2::text[], $3::text[]))
            ORDER BY outbox.id LIMIT $4
        ) AS o
        ORDER BY o.id LIMIT $5
    ) AS first
    WHERE bytes_before < $6
    ORDER BY id";

/// The leases and the rows they cover are seen in one snapshot. Rows are found by id alone: with the slot in the join the
/// planner would probe the other index for every pair of slot and id.
const DELETE: &str = "
    DELETE FROM outbox
    USING unnest($1::bigint[], $2::smallint[], $3::bigint[]) AS gone (id, slot, epoch), outbox_lease AS lease
    WHERE outbox.id = gone.id AND lease.slot = gone.slot AND lease.epoch = gone.epoch AND lease.owner = $4";

const BURY: &str = "
    WITH gone AS (
        DELETE FROM outbox USING outbox_lease AS lease
        WHERE outbox.id = $1 AND lease.slot = outbox.slot AND lease.owner = $2 AND lease.slot = $3 AND lease.epoch = $4
        RETURNING outbox.*
    )
    INSERT INTO outbox_dead
        (id, event_id, aggregate_type, aggregate_id, type, topic, payload, headers, created_at, error, attempts)
    SELECT id, event_id, aggregate_type, aggregate_id, type, topic, payload, headers, created_at, $5, $6 FROM gone";

/// How much to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Rows of each slot.
    pub depth: usize,
    /// Rows altogether.
    pub rows: usize,
    /// Bytes of payload; the row that passes this is the last.
    pub bytes: u64,
}

impl Store {
    /// The first rows of the leased slots in id order, without those of the aggregates that wait.
    pub async fn pending(&self, leases: &[Lease], waiting: &[&Aggregate], extent: Extent) -> Result<Vec<Row>, Failure> {
        let rows: Vec<Columns> = sqlx::query_as(PENDING)
            .bind(leases.iter().map(|lease| lease.slot.0).collect::<Vec<_>>())
            .bind(waiting.iter().map(|aggregate| aggregate.kind.as_str()).collect::<Vec<_>>())
            .bind(waiting.iter().map(|aggregate| aggregate.id.as_str()).collect::<Vec<_>>())
            .bind(extent.depth as i64)
            .bind(extent.rows as i64)
            .bind(extent.bytes as i64)
            .fetch_all(&self.pool)
            .await
            .map_err(classify)?;
        Ok(rows.into_iter().map(row).collect())
    }

    /// Deletes rows that were acknowledged, as far as `owner` still holds them under the lease given; returns how many went.
    pub async fn delete(&self, owner: &str, rows: &[(RowId, Lease)]) -> Result<u64, Failure> {
        let deleted = sqlx::query(DELETE)
            .bind(rows.iter().map(|(id, _)| id.0).collect::<Vec<_>>())
            .bind(rows.iter().map(|(_, lease)| lease.slot.0).collect::<Vec<_>>())
            .bind(rows.iter().map(|(_, lease)| lease.epoch.0).collect::<Vec<_>>())
            .bind(owner)
            .execute(&self.pool)
            .await
            .map_err(classify)?;
        Ok(deleted.rows_affected())
    }

    /// Moves a row to `outbox_dead`, if `owner` still holds it under `lease`; returns whether it went.
    pub async fn bury(&self, owner: &str, lease: Lease, id: RowId, error: &str, attempts: u32) -> Result<bool, Failure> {
        let buried = sqlx::query(BURY)
            .bind(id.0)
            .bind(owner)
            .bind(lease.slot.0)
            .bind(lease.epoch.0)
            .bind(error)
            .bind(attempts as i32)
            .execute(&self.pool)
            .await
            .map_err(classify)?;
        Ok(buried.rows_affected() == 1)
    }

    /// How long the first pending row has waited; zero when there is none.
    pub async fn oldest(&self) -> Result<Duration, Failure> {
        let oldest = "SELECT extract(epoch FROM clock_timestamp() - created_at)::float8 FROM outbox ORDER BY id LIMIT 1";
        let seconds: Option<f64> = sqlx::query_scalar(oldest).fetch_optional(&self.pool).await.map_err(classify)?;
        Ok(Duration::try_from_secs_f64(seconds.unwrap_or_default()).unwrap_or_default())
    }
}

fn row((id, slot, kind, key, topic, payload, Json(headers)): Columns) -> Row {
    let headers = headers.into_iter().filter_map(|(name, value)| Some((name, header(value)?))).collect();
    Row { id: RowId(id), slot: Slot(slot), aggregate: Aggregate { kind, id: key }, topic, payload, headers }
}

/// A header is text; what a foreign writer put there instead is sent as its JSON, and a null not at all.
fn header(value: serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}
