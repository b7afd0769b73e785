//! Published rows, kept for as long as they are told to be, and published once more on request.

use std::time::Duration;

use sqlx::Connection;
use stream::Failure;

use super::{Store, constant};

/// `delete`, with what it deletes kept.
pub(super) fn keeping(delete: &str) -> String {
    format!(
        "WITH gone AS ({delete} RETURNING outbox.*)
         INSERT INTO outbox_archive (id, event_id, aggregate_type, aggregate_id, type, topic, payload, headers, created_at)
         SELECT id, event_id, aggregate_type, aggregate_id, type, topic, payload, headers, created_at FROM gone"
    )
}

/// What to publish again. Times are as Postgres reads them: RFC 3339, `now`, `yesterday`.
#[derive(Clone, Debug)]
pub struct Replay {
    pub topic: String,
    pub aggregate_id: Option<String>,
    pub since: String,
    pub until: String,
}

const WANTED: &str = "
    outbox_archive WHERE topic = $1 AND ($2::text IS NULL OR aggregate_id = $2)
    AND published_at >= $3::text::timestamptz AND published_at < $4::text::timestamptz";

impl Store {
    /// Makes the partitions of the next days and drops what is older than `keep`.
    pub async fn roll_archive(&self, keep: Duration) -> Result<(), Failure> {
        self.on(&self.control, async |connection| {
            let roll = sqlx::query("SELECT outbox_archive_roll(make_interval(secs => $1))").bind(keep.as_secs_f64());
            roll.execute(connection).await.map(drop)
        })
        .await
    }

    /// How many rows `replay` means.
    pub async fn count_replay(&self, replay: &Replay) -> Result<u64, Failure> {
        let count: i64 = self
            .on(&self.control, async |connection| {
                let count = sqlx::query_scalar(constant(format!("SELECT count(*) FROM {WANTED}")));
                count.bind(&replay.topic).bind(&replay.aggregate_id).bind(&replay.since).bind(&replay.until).fetch_one(connection).await
            })
            .await?;
        Ok(count as u64)
    }

    /// Writes rows of the archive into the outbox again, each aggregate's in its order; returns how many.
    pub async fn replay(&self, replay: &Replay) -> Result<u64, Failure> {
        let lock = format!(
            "SELECT outbox_lock(array_agg(aggregate_type), array_agg(aggregate_id)) FROM (SELECT DISTINCT aggregate_type, aggregate_id FROM {WANTED}) AS wanted"
        );
        let insert = format!(
            "INSERT INTO outbox (event_id, aggregate_type, aggregate_id, type, topic, payload, headers)
             SELECT event_id, aggregate_type, aggregate_id, type, topic, payload, headers FROM {WANTED} ORDER BY published_at, id"
        );
        self.on(&self.control, async |connection| {
            let mut transaction = connection.begin().await?;
            let mut replayed = 0;
            for statement in [lock, insert] {
                let statement = sqlx::query(constant(statement));
                let statement = statement.bind(&replay.topic).bind(&replay.aggregate_id).bind(&replay.since).bind(&replay.until);
                replayed = statement.execute(&mut *transaction).await?.rows_affected();
            }
            transaction.commit().await?;
            Ok(replayed)
        })
        .await
    }
}
