//! Pending rows out of the outbox: read in order, deleted by their ids and under the lease they were read with.
//!
//! A cursor ("everything up to id N") would lose rows: ids become visible out of order when writers commit out of order.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use stream::Failure;

use super::{Store, archive, constant};
use crate::domain::{Aggregate, Lease, Path, Row, RowId, Seen, Slot};

/// Each slot through its own range of the index: what waits in other slots costs nothing. The hashed `NOT IN` keeps the
/// range's order, which lets the limit end it.
fn by_slots(condition: &str) -> String {
    first(&format!(
        "SELECT o.* FROM unnest($1::smallint[]) AS leased (slot)
         CROSS JOIN LATERAL (
             SELECT *, ctid AS place FROM outbox
             WHERE outbox.slot = leased.slot AND outbox.id > $2 AND outbox.id <= $6 {condition}
             ORDER BY outbox.id LIMIT $5
         ) AS o
         ORDER BY o.id LIMIT $3"
    ))
}

/// All ids in order: rows come as they lie. The inner limit bounds what is passed over.
fn by_ids(condition: &str) -> String {
    first(&format!(
        "SELECT outbox.* FROM (SELECT *, ctid AS place FROM outbox WHERE id > $2 AND id <= $6 ORDER BY id LIMIT $5) AS outbox
         WHERE outbox.slot = ANY ($1::smallint[]) {condition}
         ORDER BY outbox.id LIMIT $3"
    ))
}

/// `rows` up to and including the one that passes the limit of bytes. A payload's length is known without reading it.
fn first(rows: &str) -> String {
    format!(
        "SELECT id, slot, aggregate_type, aggregate_id, topic, payload, headers::text, place
         FROM (
             SELECT *, sum(octet_length(payload)) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) - octet_length(payload) AS bytes_before
             FROM ({rows}) AS ordered
         ) AS first
         WHERE bytes_before < $4
         ORDER BY id"
    )
}

const NOT_WAITING: &str = "AND (outbox.aggregate_type, outbox.aggregate_id) NOT IN (SELECT * FROM unnest($7::text[], $8::text[]))";

/// The leases and the rows they cover are seen in one snapshot.
const HELD: &str = "ARRAY(
        SELECT slot FROM outbox_lease AS lease JOIN unnest($1::smallint[], $2::bigint[]) AS of (slot, epoch) USING (slot, epoch)
        WHERE lease.owner = $3
    )";

/// Rows are found where they were read: an index would cost more than the rest. The id tells whether it is still the same.
/// `OFFSET 0` leaves the planner no other way than place by place: while the outbox is nearly empty it would rather walk
/// through all of it, dead rows included.
fn delete() -> String {
    format!(
        "DELETE FROM outbox WHERE outbox.ctid = ANY (ARRAY(
             SELECT found.place FROM unnest($4::bigint[], $5::tid[]) AS seen (id, place) CROSS JOIN LATERAL (
                 SELECT same.ctid AS place FROM outbox AS same
                 WHERE same.ctid = seen.place AND same.id = seen.id AND same.slot = ANY ({HELD}) OFFSET 0
             ) AS found
         ))"
    )
}

/// For rows that have moved meanwhile.
fn delete_by_id() -> String {
    format!("DELETE FROM outbox WHERE outbox.id = ANY ($4::bigint[]) AND outbox.slot = ANY ({HELD})")
}

const BURY: &str = "
    WITH gone AS (
        DELETE FROM outbox USING outbox_lease AS lease
        WHERE outbox.id = $1 AND lease.slot = outbox.slot AND lease.owner = $2 AND lease.slot = $3 AND lease.epoch = $4
          AND outbox.type <> ALL ($7)
        RETURNING outbox.*
    )
    INSERT INTO outbox_dead
        (id, event_id, aggregate_type, aggregate_id, type, topic, payload, headers, created_at, error, attempts)
    SELECT id, event_id, aggregate_type, aggregate_id, type, topic, payload, headers, created_at, $5, $6 FROM gone";

/// How much to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Only rows above this id,
    pub above: RowId,
    /// and none above this.
    pub up_to: RowId,
    pub path: Path,
    /// Rows altogether.
    pub rows: usize,
    /// Bytes of payload; the row that passes this is the last.
    pub bytes: u64,
}

impl Extent {
    /// Whatever is above `id`, up to one row of each slot.
    pub const fn above(id: RowId) -> Self {
        Self { above: id, up_to: RowId(i64::MAX), path: Path::Slots { each: 1 }, rows: i64::MAX as usize, bytes: i64::MAX as u64 }
    }
}

/// A row that cannot be published, and what was said about it.
#[derive(Clone, Copy, Debug)]
pub struct Dead<'a> {
    pub id: RowId,
    pub error: &'a str,
    pub attempts: u32,
    /// Types of which no row is given up.
    pub block: &'a [String],
}

impl Store {
    /// The first rows of the leased slots in id order, without those of the aggregates that wait.
    pub async fn pending(&self, leases: &[Lease], waiting: &[&Aggregate], extent: Extent) -> Result<Vec<Row>, Failure> {
        let rows = self.on(&self.rows, async |connection| {
            let condition = if waiting.is_empty() { "" } else { NOT_WAITING };
            let (statement, bound) = match extent.path {
                Path::Slots { each } => (by_slots(condition), each),
                Path::Ids { most } => (by_ids(condition), most),
            };
            let query = sqlx::query(constant(statement))
                .bind(leases.iter().map(|lease| lease.slot.0).collect::<Vec<_>>())
                .bind(extent.above.0)
                .bind(extent.rows as i64)
                .bind(extent.bytes as i64)
                .bind(bound as i64)
                .bind(extent.up_to.0);
            let query = if waiting.is_empty() {
                query
            } else {
                query
                    .bind(waiting.iter().map(|aggregate| &*aggregate.kind).collect::<Vec<_>>())
                    .bind(waiting.iter().map(|aggregate| aggregate.id.as_str()).collect::<Vec<_>>())
            };
            let rows = query.fetch_all(connection).await?;
            let mut names = Names::default();
            rows.iter().map(|row| names.row(row)).collect()
        });
        rows.await
    }

    /// Deletes rows that were acknowledged, as far as `owner` still holds them under `leases`; returns how many went.
    pub async fn delete(&self, owner: &str, leases: &[Lease], rows: &[Seen], keep: bool) -> Result<u64, Failure> {
        let statement = |delete: String| if keep { archive::keeping(&delete) } else { delete };
        self.on(&self.rows, async |connection| {
            let bound = |statement| {
                sqlx::query(constant(statement))
                    .bind(leases.iter().map(|lease| lease.slot.0).collect::<Vec<_>>())
                    .bind(leases.iter().map(|lease| lease.epoch.0).collect::<Vec<_>>())
                    .bind(owner)
                    .bind(rows.iter().map(|row| row.id.0).collect::<Vec<_>>())
            };
            let by_place = bound(statement(delete())).bind(rows.iter().map(|row| row.place).collect::<Vec<_>>());
            let mut deleted = by_place.execute(&mut *connection).await?.rows_affected();
            if deleted < rows.len() as u64 {
                deleted += bound(statement(delete_by_id())).execute(connection).await?.rows_affected();
            }
            Ok(deleted)
        })
        .await
    }

    /// Moves a row to `outbox_dead`, if `owner` still holds it under `lease` and its type allows it; returns whether it went.
    pub async fn bury(&self, owner: &str, lease: Lease, dead: Dead<'_>) -> Result<bool, Failure> {
        self.on(&self.rows, async |connection| {
            let buried = sqlx::query(BURY)
                .bind(dead.id.0)
                .bind(owner)
                .bind(lease.slot.0)
                .bind(lease.epoch.0)
                .bind(dead.error)
                .bind(dead.attempts as i32)
                .bind(dead.block)
                .execute(connection)
                .await?;
            Ok(buried.rows_affected() == 1)
        })
        .await
    }

    /// How long the first row has waited; zero when there is none.
    pub async fn oldest(&self) -> Result<Duration, Failure> {
        let oldest = "SELECT extract(epoch FROM clock_timestamp() - created_at)::float8 FROM outbox
                      WHERE id > (SELECT min(mark) FROM outbox_lease) ORDER BY id LIMIT 1";
        let seconds: Option<f64> =
            self.on(&self.control, async |connection| sqlx::query_scalar(oldest).fetch_optional(connection).await).await?;
        Ok(Duration::try_from_secs_f64(seconds.unwrap_or_default()).unwrap_or_default())
    }
}

/// Topics and kinds are few: one copy of each for a batch.
#[derive(Default)]
struct Names(HashSet<Arc<str>>);

impl Names {
    fn of(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.0.get(name) {
            return Arc::clone(known);
        }
        let name: Arc<str> = name.into();
        self.0.insert(Arc::clone(&name));
        name
    }

    fn row(&mut self, row: &PgRow) -> Result<Row, sqlx::Error> {
        Ok(Row {
            id: RowId(row.try_get(0)?),
            place: row.try_get(7)?,
            slot: Slot(row.try_get(1)?),
            aggregate: Aggregate { kind: self.of(row.try_get(2)?), id: row.try_get(3)? },
            topic: self.of(row.try_get(4)?),
            payload: row.try_get(5)?,
            headers: row.try_get(6)?,
        })
    }
}
