//! The outbox's tables, kept apart from the migrations of whoever shares the database.

use sqlx::PgPool;
use sqlx::migrate::MigrateError;

/// Ours alone: in sqlx's default table another migrator would take our versions for its own, lost ones.
const TABLE: &str = "_outbox_migrations";

/// Creates or upgrades the outbox's tables. Safe to call from several processes at the same time, and again.
pub async fn migrate(pool: &PgPool) -> Result<(), MigrateError> {
    let mut migrator = sqlx::migrate!();
    migrator.dangerous_set_table_name(TABLE);
    // A release rolled back meets the tables of the newer one; migrations only ever add.
    migrator.set_ignore_missing(true);
    let mut connection = pool.acquire().await?;
    let outcome = migrator.run_direct(None, &mut *connection, false).await;
    if outcome.is_err() {
        // A failed run keeps its session lock; only the end of the session frees it.
        connection.close().await?;
    }
    outcome
}
