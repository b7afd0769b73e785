//! Telling the relays that there is something to publish.

use sqlx::PgPool;

/// What a relay listens to.
pub const CHANNEL: &str = "outbox";

/// Wakes relays that rest, for the last few milliseconds of latency of a quiet outbox. Optional: they look by themselves.
///
/// Call it after the commit, and only there: in the writer's transaction it would make all writers' commits wait for each
/// other. That is why it takes the pool.
pub async fn wake(pool: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_notify($1, '')").bind(CHANNEL).execute(pool).await.map(drop)
}
