//! What people ask about the outbox.

use sqlx::{Connection, FromRow};
use stream::Failure;

use super::{Store, constant};

/// The outbox at a glance.
#[derive(Clone, Debug)]
pub struct Stats {
    pub pending: Vec<Pending>,
    pub owners: Vec<OwnerSlots>,
    pub dead: i64,
}

/// Pending rows of one topic.
#[derive(Clone, Debug, FromRow)]
pub struct Pending {
    pub topic: String,
    pub rows: i64,
    pub aggregates: i64,
    pub oldest_seconds: f64,
}

/// How many slots a relay holds; without an owner: how many nobody holds.
#[derive(Clone, Debug, FromRow)]
pub struct OwnerSlots {
    pub owner: Option<String>,
    pub slots: i64,
}

/// A row that could not be published.
#[derive(Clone, Debug, FromRow)]
pub struct DeadRow {
    pub id: i64,
    pub topic: String,
    pub aggregate_type: String,
    pub aggregate_id: String,
    pub bytes: i32,
    pub attempts: i32,
    pub failed_at: String,
    pub error: String,
}

/// Which dead rows.
#[derive(Clone, Debug, Default)]
pub struct DeadSelection {
    /// Their ids; none: all.
    pub ids: Vec<i64>,
    pub topic: Option<String>,
}

const SELECTED: &str = "outbox_dead WHERE (cardinality($1::bigint[]) = 0 OR id = ANY ($1)) AND ($2::text IS NULL OR topic = $2)";

impl Store {
    pub async fn stats(&self) -> Result<Stats, Failure> {
        let pending = "
            SELECT topic, count(*) AS rows, count(DISTINCT (aggregate_type, aggregate_id)) AS aggregates,
                   extract(epoch FROM now() - min(created_at))::float8 AS oldest_seconds
            FROM outbox GROUP BY topic ORDER BY topic";
        let owners = "
            SELECT owner, count(*) AS slots
            FROM (SELECT CASE WHEN expires_at > now() THEN owner END AS owner FROM outbox_lease) AS lease
            GROUP BY owner ORDER BY owner NULLS LAST";
        self.on(&self.control, async |connection| {
            Ok(Stats {
                pending: sqlx::query_as(pending).fetch_all(&mut *connection).await?,
                owners: sqlx::query_as(owners).fetch_all(&mut *connection).await?,
                dead: sqlx::query_scalar("SELECT count(*) FROM outbox_dead").fetch_one(connection).await?,
            })
        })
        .await
    }

    /// The newest dead rows first, at most `limit`.
    pub async fn dead(&self, limit: u32) -> Result<Vec<DeadRow>, Failure> {
        let dead = r#"
            SELECT id, topic, aggregate_type, aggregate_id, length(payload) AS bytes, attempts, error,
                   to_char(failed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS failed_at
            FROM outbox_dead ORDER BY outbox_dead.failed_at DESC, id DESC LIMIT $1"#;
        self.on(&self.control, async |connection| sqlx::query_as(dead).bind(i64::from(limit)).fetch_all(connection).await).await
    }

    pub async fn count_dead(&self, selection: &DeadSelection) -> Result<u64, Failure> {
        let count = constant(format!("SELECT count(*) FROM {SELECTED}"));
        let count: i64 = self
            .on(&self.control, async |connection| {
                sqlx::query_scalar(count).bind(&selection.ids).bind(&selection.topic).fetch_one(connection).await
            })
            .await?;
        Ok(count as u64)
    }

    /// Dead rows into the outbox again, behind what their aggregates have written since; returns how many.
    pub async fn requeue(&self, selection: &DeadSelection) -> Result<u64, Failure> {
        let lock = format!("SELECT outbox_lock(array_agg(aggregate_type), array_agg(aggregate_id)) FROM {SELECTED}");
        let requeue = format!(
            "WITH back AS (DELETE FROM {SELECTED} RETURNING outbox_dead.*)
             INSERT INTO outbox (event_id, aggregate_type, aggregate_id, type, topic, payload, headers, created_at)
             SELECT event_id, aggregate_type, aggregate_id, type, topic, payload, headers, created_at FROM back ORDER BY id"
        );
        self.on(&self.control, async |connection| {
            let mut transaction = connection.begin().await?;
            let mut requeued = 0;
            for statement in [lock, requeue] {
                let statement = sqlx::query(constant(statement)).bind(&selection.ids).bind(&selection.topic);
                requeued = statement.execute(&mut *transaction).await?.rows_affected();
            }
            transaction.commit().await?;
            Ok(requeued)
        })
        .await
    }
}
