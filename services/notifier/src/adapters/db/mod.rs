//! Postgres: notifications, their audit log, commands to devices, positions of the inputs, keys and tickets.
//!
//! Guarantees: a batch and its positions, rows, audit and outbox entries commit together or not at all. Whoever
//! changes a notification holds the lock on its key's row.
//!
//! Statements are checked when they are compiled, by what `scripts/new-queries` wrote to `.sqlx`. Not so those that are put
//! together while they run (`list`, `deliveries`, `device_commands`), that make or drop tables (`history`), or that speak of temporary tables and
//! transactions (`rebuild`): nothing could be said of them before.

mod asked;
mod audit;
mod batch;
mod change;
mod configuration;
mod counts;
mod deliveries;
mod device_commands;
mod dispatch;
mod endpoints;
mod entries;
mod escalations;
mod failure;
mod groups;
mod history;
mod keys;
mod list;
mod outside;
mod positions;
mod reactions;
mod rebuild;
mod results;
mod rows;
mod secret;
mod snoozes;
mod subjects;
mod tickets;
mod timeline;
mod webhook_secrets;

use outbox::Slots;
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgPool, Postgres, Transaction};

pub use asked::Ask;
pub use batch::{Arrival, NotApplied};
pub use change::NotChanged;
pub use configuration::{Edit, Kind, NotConfigured, ROUTES};
pub use deliveries::{AttemptRow, DeliveryRow};
pub use device_commands::{CommandFilter, check as check_result};
pub use endpoints::{Due, Ended, Endpoint, Lease};
pub use entries::Entry;
pub use failure::classify;
pub use groups::{Flushed, Limits};
pub use history::HistoryRow;
pub use keys::{KeyRow, NewKey};
pub use list::Listed;
pub use outside::{Answer, Once, Told};
pub use positions::Advance;
pub use rebuild::Rebuild;
pub use tickets::OpenedTicket;
pub use timeline::{Place, Timeline};
pub use webhook_secrets::Reseal;

use crate::config::DatabaseConfig;

/// Ours alone: the outbox keeps its own beside it.
const MIGRATIONS: &str = "_notifier_migrations";

/// The notifier's database; clones share the pool, and what they know of it.
#[derive(Clone)]
pub struct Store {
    pool: PgPool,
    known: configuration::Known,
}

impl Store {
    /// A pool that connects when it is used.
    pub fn new(config: &DatabaseConfig) -> anyhow::Result<Self> {
        let mut options: PgConnectOptions = config.url.expose().parse()?;
        let password = config.password.or_file(&config.password_file)?;
        if !password.is_empty() {
            options = options.password(password.expose());
        }
        let options = options.application_name("notifier");
        let pool =
            PgPoolOptions::new().max_connections(config.max_connections).acquire_timeout(config.acquire_timeout).connect_lazy_with(options);
        Ok(Self { pool, known: configuration::Known::default() })
    }

    /// Creates or upgrades the tables, the outbox's too. Safe from several replicas at the same time.
    pub async fn migrate(&self) -> Result<(), MigrateError> {
        outbox::migrate(&self.pool).await?;
        let mut migrator = sqlx::migrate!();
        migrator.dangerous_set_table_name(MIGRATIONS);
        // A release rolled back meets the tables of the newer one; migrations only ever add.
        migrator.set_ignore_missing(true);
        let mut connection = self.pool.acquire().await?;
        let outcome = migrator.run_direct(None, &mut *connection, false).await;
        if outcome.is_err() {
            // A failed run keeps its session lock; only the end of the session frees it.
            connection.close().await?;
        }
        outcome
    }

    /// Whether the database answers.
    pub async fn reach(&self) -> Result<(), sqlx::Error> {
        sqlx::query("SELECT 1").execute(&self.pool).await.map(drop)
    }

    /// Commits, and tells the relays of the rows in the outbox, which they find by themselves a little later.
    async fn commit(&self, transaction: Transaction<'_, Postgres>, slots: Slots) -> Result<(), sqlx::Error> {
        transaction.commit().await?;
        if let Err(problem) = outbox::wake(&self.pool, slots).await {
            tracing::debug!(%problem, "no relay was woken");
        }
        Ok(())
    }

    pub async fn close(&self) {
        self.pool.close().await;
    }
}
