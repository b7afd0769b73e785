//! Telling the relays that there is something to publish.

use sqlx::PgPool;

use crate::Slots;

/// What a relay listens to. A message names [`Slots`]; an empty one, or one that is none of ours, means all.
pub const CHANNEL: &str = "outbox";

/// Wakes who publishes `slots`, for the last few milliseconds of latency of a quiet outbox; nobody where there are none.
/// Optional: they look by themselves.
///
/// Call it after the commit, and only there: in the writer's transaction it would make all writers' commits wait for each
/// other. That is why it takes the pool.
pub async fn wake(pool: &PgPool, slots: Slots) -> Result<(), sqlx::Error> {
    if slots.is_empty() {
        return Ok(());
    }
    sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(slots.to_string()).execute(pool).await.map(drop)
}
