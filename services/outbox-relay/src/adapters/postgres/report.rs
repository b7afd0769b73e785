//! What people ask about the outbox.

use sqlx::FromRow;
use stream::Failure;

use super::{Store, classify};

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
        Ok(Stats {
            pending: sqlx::query_as(pending).fetch_all(&self.pool).await.map_err(classify)?,
            owners: sqlx::query_as(owners).fetch_all(&self.pool).await.map_err(classify)?,
            dead: sqlx::query_scalar("SELECT count(*) FROM outbox_dead").fetch_one(&self.pool).await.map_err(classify)?,
        })
    }

    /// The newest dead rows first, at most `limit`.
    pub async fn dead(&self, limit: u32) -> Result<Vec<DeadRow>, Failure> {
        let dead = r#"
            SELECT id, topic, aggregate_type, aggregate_id, length(payload) AS bytes, attempts, error,
                   to_char(failed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS failed_at
            FROM outbox_dead ORDER BY outbox_dead.failed_at DESC, id DESC LIMIT $1"#;
        sqlx::query_as(dead).bind(i64::from(limit)).fetch_all(&self.pool).await.map_err(classify)
    }
}
