//! A database of the test's own.

use outbox::OutboxEvent;
use sqlx::PgPool;
use testkit::eventually;
use uuid::Uuid;

pub(crate) struct Database {
    pub(crate) pool: PgPool,
    _dropped_last: testkit::Database,
}

impl Database {
    /// With the outbox's tables.
    pub(crate) async fn new() -> Self {
        let database = Self::empty().await;
        outbox::migrate(&database.pool).await.unwrap();
        database
    }

    pub(crate) async fn empty() -> Self {
        let database = testkit::Database::create().await;
        Self { pool: database.pool().await, _dropped_last: database }
    }

    /// (id, `aggregate_id`, payload) of every pending row, in id order.
    pub(crate) async fn rows(&self) -> Vec<(i64, String, Vec<u8>)> {
        sqlx::query_as("SELECT id, aggregate_id, payload FROM outbox ORDER BY id").fetch_all(&self.pool).await.unwrap()
    }

    /// Waits until a session of this database waits for a lock.
    pub(crate) async fn until_one_waits(&self) {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        eventually("a session waits for a lock", || async {
            let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&self.pool).await.unwrap();
            (waiting == 1).then_some(())
        })
        .await;
    }
}

pub(crate) fn event(aggregate_id: &str, payload: impl AsRef<[u8]>) -> OutboxEvent {
    OutboxEvent {
        event_id: Uuid::now_v7(),
        aggregate_type: "notification".into(),
        aggregate_id: aggregate_id.into(),
        event_type: "fieldwatch.notification.v1".into(),
        topic: "notifications.v1".into(),
        payload: payload.as_ref().to_vec(),
        headers: [("ce_type".to_owned(), "fieldwatch.notification.v1".to_owned())].into(),
    }
}
