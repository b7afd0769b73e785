//! The outbox's tables. Every statement commits by itself and ends in time; leases count the database's time.
//!
//! Rows and leases have connections of their own: a lease is renewed while every row connection is busy, and its change is
//! durable, while a deletion lost in a crash of the database is only published again.

mod archive;
mod leases;
mod place;
mod report;
mod rows;
mod snapshot;
mod wake;

pub use archive::Replay;
pub use leases::Membership;
pub use report::{DeadRow, DeadSelection, OwnerSlots, Pending, Stats};
pub use rows::{Dead, Extent};
pub use wake::Wakes;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgPool};
use stream::Failure;

use crate::config::DatabaseConfig;

/// What a statement may take beyond the time after which the server ends it: the way there and back.
const GRACE: Duration = Duration::from_secs(1);

/// The outbox in one database; clones share its connections.
#[derive(Clone, Debug)]
pub struct Store {
    control: PgPool,
    rows: PgPool,
    listening: PgPool,
    limit: Duration,
    epoch: Instant,
    /// Milliseconds after `epoch`: connections older than this lead to a server that cannot be written to.
    mistrusted: Arc<AtomicU64>,
}

impl Store {
    /// Connects when first used, and again whenever the connection is lost. `lanes`: how many read and delete at a time.
    pub fn new(config: &DatabaseConfig, lanes: usize) -> anyhow::Result<Self> {
        let mut options: PgConnectOptions = config.url.parse().context("database.url")?;
        let password = config.password.or_file(&config.password_file)?;
        if !password.is_empty() {
            options = options.password(password.expose());
        }
        let timeout = config.statement_timeout.as_millis().to_string();
        options = options.application_name("outbox-relay").options([("statement_timeout", timeout.as_str())]);
        // A plan made while the outbox is nearly empty must still be the right one when it is full: index scans only.
        let of_rows = [("enable_seqscan", "off"), ("enable_bitmapscan", "off"), ("jit", "off"), ("synchronous_commit", "off")];
        let (epoch, mistrusted) = (Instant::now(), Arc::new(AtomicU64::new(0)));
        let pool = |options: PgConnectOptions, connections| {
            let mistrusted = Arc::clone(&mistrusted);
            PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(config.statement_timeout)
                .test_before_acquire(false)
                .before_acquire(move |_, connection| {
                    let made = epoch.elapsed().saturating_sub(connection.age);
                    let trusted = made.as_millis() as u64 >= mistrusted.load(Ordering::Relaxed);
                    Box::pin(async move { Ok(trusted) })
                })
                .connect_lazy_with(options)
        };
        let rows = pool(options.clone().options(of_rows), lanes as u32);
        let control = pool(options.clone(), 2);
        let listening = pool(options, 1);
        Ok(Self { control, rows, listening, limit: config.statement_timeout + GRACE, epoch, mistrusted })
    }

    /// Creates or upgrades the outbox's tables.
    pub async fn migrate(&self) -> Result<(), Failure> {
        outbox::migrate(&self.control).await.map_err(|error| match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => self.classify(&error),
            other => Failure::fatal(format!("the outbox's tables: {other}")),
        })
    }

    /// Gives the connections back.
    pub async fn close(&self) {
        tokio::join!(self.control.close(), self.rows.close(), self.listening.close());
    }

    /// Runs `work` on a connection of `pool`. A server that says nothing any more costs `limit`, and its connection.
    async fn on<T>(&self, pool: &PgPool, work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>) -> Result<T, Failure> {
        let mut connection = pool.acquire().await.map_err(|error| self.classify(&error))?;
        if let Ok(result) = tokio::time::timeout(self.limit, work(&mut connection)).await {
            return result.map_err(|error| self.classify(&error));
        }
        connection.close_on_drop();
        Err(Failure::transient(format!("postgres: no answer within {:?}", self.limit)))
    }

    /// What the database refuses for good is Fatal: who we are, what we may, what the tables look like. All else may pass.
    fn classify(&self, error: &sqlx::Error) -> Failure {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code).unwrap_or_default();
        // Read-only: a server that was the primary. Its successor is found by connecting anew.
        if code == "25006" {
            self.mistrusted.store(self.epoch.elapsed().as_millis() as u64 + 1, Ordering::Relaxed);
        }
        let fatal = match error {
            sqlx::Error::Configuration(_)
            | sqlx::Error::Decode(_)
            | sqlx::Error::Encode(_)
            | sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::ColumnIndexOutOfBounds { .. }
            | sqlx::Error::TypeNotFound { .. } => true,
            // Invalid authorization, invalid catalog name, syntax error or access rule violation.
            sqlx::Error::Database(_) => ["28", "3D", "42"].iter().any(|class| code.starts_with(class)),
            _ => false,
        };
        let problem = format!("postgres: {error}");
        if fatal { Failure::fatal(problem) } else { Failure::transient(problem) }
    }
}

/// A statement put together of constants only.
fn constant(statement: String) -> AssertSqlSafe<String> {
    AssertSqlSafe(statement)
}
