//! The outbox's tables. Every statement commits by itself; time is the database's.

mod leases;
mod report;
mod rows;

pub use leases::Membership;
pub use report::{DeadRow, OwnerSlots, Pending, Stats};
pub use rows::Extent;

use anyhow::Context;
use sqlx::PgPool;
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use stream::Failure;

use crate::config::DatabaseConfig;

/// The outbox in one database; clones share its connections.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
}

impl Store {
    /// Connects when first used, and again whenever the connection is lost.
    pub fn new(config: &DatabaseConfig) -> anyhow::Result<Self> {
        let options: PgConnectOptions = config.url.parse().context("database.url")?;
        let timeout = config.statement_timeout.as_millis().to_string();
        // A plan made while the outbox is nearly empty must still be the right one when it is full: index scans only.
        let settings = [("statement_timeout", timeout.as_str()), ("enable_seqscan", "off"), ("enable_bitmapscan", "off")];
        let mut options = options.application_name("outbox-relay").options(settings);
        let password = config.password.or_file(&config.password_file)?;
        if !password.is_empty() {
            options = options.password(password.expose());
        }
        let pool = PgPoolOptions::new().max_connections(3).acquire_timeout(config.statement_timeout).connect_lazy_with(options);
        Ok(Self { pool })
    }

    /// Creates or upgrades the outbox's tables.
    pub async fn migrate(&self) -> Result<(), Failure> {
        outbox::migrate(&self.pool).await.map_err(|error| match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => classify(error),
            other => Failure::fatal(format!("the outbox's tables: {other}")),
        })
    }

    /// Gives the connections back.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// What the database refuses for good is Fatal: who we are, what we may, what the tables look like. All else may pass.
#[expect(clippy::needless_pass_by_value, reason = "the shape of map_err")]
fn classify(error: sqlx::Error) -> Failure {
    let fatal = match &error {
        sqlx::Error::Configuration(_)
        | sqlx::Error::Decode(_)
        | sqlx::Error::Encode(_)
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnIndexOutOfBounds { .. }
        | sqlx::Error::TypeNotFound { .. } => true,
        // Invalid authorization, invalid catalog name, syntax error or access rule violation.
        sqlx::Error::Database(refusal) => refusal.code().is_some_and(|code| ["28", "3D", "42"].iter().any(|class| code.starts_with(class))),
        _ => false,
    };
    let problem = format!("postgres: {error}");
    if fatal { Failure::fatal(problem) } else { Failure::transient(problem) }
}
