//! What every service's `main` has: layered configuration, a supervisor that drains, the admin port, the command line.
//!
//! Guarantees: every configuration mistake is printed at once and exits 64; a task that fails ends the process with a
//! non-zero code after the others were drained; SIGTERM drains inside the grace period and exits 0.

mod admin;
mod cli;
pub mod config;
mod health;
pub mod sealing;
mod secret;
mod supervisor;

pub use admin::AdminConfig;
pub use cli::{Definition, NoCommand, run};
pub use config::{Mistake, ServiceConfig, Shared};
pub use health::{Health, HealthCheck};
pub use secret::{Secret, SecretUnreadable};
pub use supervisor::{Supervisor, TaskFailed};

/// What starting a service's parts comes to.
pub type StartResult = anyhow::Result<()>;
/// Cancelled when the service has to stop.
pub use tokio_util::sync::CancellationToken as Shutdown;
