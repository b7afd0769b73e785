//! New rows of notifications and their audit logs, gathered beside the old ones and put in their place in one transaction.

use std::collections::BTreeMap;

use events::Notification;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Connection as _, Execute as _, Postgres};
use stream::Failure;

use super::{Store, audit, classify, subjects};

/// A rebuild under way: temporary tables, gone with its connection.
pub struct Rebuild {
    connection: PoolConnection<Postgres>,
}

const BEGIN: [&str; 4] = [
    // One at a time; given up with the session.
    "SELECT pg_advisory_lock(hashtextextended('rebuild of notifications', 0))",
    "CREATE TEMPORARY TABLE new_notification (LIKE notification INCLUDING DEFAULTS)",
    "CREATE TEMPORARY TABLE new_notification_event (LIKE notification_event INCLUDING DEFAULTS)",
    "CREATE UNIQUE INDEX ON pg_temp.new_notification (notification_id)",
];

const FINISH: [&str; 6] = [
    "DELETE FROM notification_event",
    "DELETE FROM notification",
    "INSERT INTO notification SELECT * FROM pg_temp.new_notification",
    // The relay repeats itself: of each version one.
    "INSERT INTO notification_event SELECT DISTINCT ON (notification_id, version) * FROM pg_temp.new_notification_event ORDER BY notification_id, version",
    // How far a source has come is not in the topic: it stays, where it is known.
    "UPDATE notification_key SET notification_id = NULL",
    "INSERT INTO notification_key AS k (tenant, dedup_key, notification_id)
     SELECT DISTINCT ON (tenant, dedup_key) tenant, dedup_key, notification_id FROM notification
     ORDER BY tenant, dedup_key, state = 'RESOLVED', updated_at DESC, opened_at DESC
     ON CONFLICT (tenant, dedup_key) DO UPDATE SET notification_id = EXCLUDED.notification_id",
];

impl Store {
    pub async fn begin_rebuild(&self) -> Result<Rebuild, Failure> {
        let mut connection = self.pool.acquire().await.map_err(|error| classify(&error))?;
        for statement in BEGIN {
            sqlx::query(statement).execute(&mut *connection).await.map_err(|error| classify(&error))?;
        }
        Ok(Rebuild { connection })
    }
}

impl Rebuild {
    /// Adds versions, in any order and however often.
    pub async fn add(&mut self, versions: &[Notification]) -> Result<(), Failure> {
        // A statement may touch a row once: of each notification the highest.
        let mut highest: BTreeMap<&str, &Notification> = BTreeMap::new();
        for version in versions {
            let known = highest.entry(&version.notification_id).or_insert(version);
            if version.version > known.version {
                *known = version;
            }
        }
        let notifications: Vec<&Notification> = highest.into_values().collect();
        let saving = subjects::saving(&notifications).and_then(|saving| aside(saving, " WHERE n.version < EXCLUDED.version"));
        let appending = audit::appending(versions).and_then(|appending| aside(appending, ""));
        for adding in [saving, appending] {
            let adding = adding.map_err(|error| classify(&error))?;
            adding.execute(&mut *self.connection).await.map_err(|error| classify(&error))?;
        }
        Ok(())
    }

    /// From here on nobody changes anything until [`finish`](Self::finish), or until this is dropped; reading goes on.
    pub async fn close(mut self) -> Result<Self, Failure> {
        for statement in ["BEGIN", "LOCK TABLE notification_key, notification, notification_event IN EXCLUSIVE MODE"] {
            sqlx::query(statement).execute(&mut *self.connection).await.map_err(|error| classify(&error))?;
        }
        Ok(self)
    }

    /// Versions that are not yet published, or not when this was asked; the topic has what has left since.
    pub async fn pending(&mut self) -> Result<Vec<Vec<u8>>, Failure> {
        let pending = sqlx::query_scalar!("SELECT payload FROM outbox WHERE aggregate_type = 'notification' ORDER BY id");
        pending.fetch_all(&mut *self.connection).await.map_err(|error| classify(&error))
    }

    /// Puts the new rows in the place of the old ones; returns how many notifications and versions there are.
    pub async fn finish(mut self) -> Result<(i64, i64), Failure> {
        for statement in FINISH {
            sqlx::query(statement).execute(&mut *self.connection).await.map_err(|error| classify(&error))?;
        }
        let counts = sqlx::query!(
            r#"SELECT (SELECT count(*) FROM notification) AS "notifications!", (SELECT count(*) FROM notification_event) AS "versions!""#
        );
        let counts = counts.map(|row| (row.notifications, row.versions));
        let counts = counts.fetch_one(&mut *self.connection).await.map_err(|error| classify(&error))?;
        sqlx::query("COMMIT").execute(&mut *self.connection).await.map_err(|error| classify(&error))?;
        self.connection.detach().close().await.map_err(|error| classify(&error))?;
        Ok(counts)
    }
}

/// An INSERT, but into the new table beside the one it names, and with more at its end.
fn aside(mut insert: Query<'static, Postgres, PgArguments>, more: &str) -> Result<Query<'static, Postgres, PgArguments>, sqlx::Error> {
    let arguments = insert.take_arguments().map_err(sqlx::Error::Encode)?.unwrap_or_default();
    let statement = insert.sql().as_str().replacen("INSERT INTO ", "INSERT INTO pg_temp.new_", 1) + more;
    Ok(sqlx::query_with(AssertSqlSafe(statement), arguments))
}
