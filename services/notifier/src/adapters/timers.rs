//! What time causes: snoozes that end. Every replica runs it; the database decides who does what.

use std::time::Duration;

use service::{HealthCheck, Shutdown};
use stream::Failure;
use telemetry::metrics;

use super::db::Store;
use super::outgoing::Outgoing;

/// How often is looked for what is due.
const PACE: Duration = Duration::from_millis(500);

/// Looks for what is due until shutdown; a database out of reach is waited for.
pub async fn run(store: Store, outgoing: Outgoing, check: HealthCheck, shutdown: Shutdown) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(PACE) => {}
        }
        check.beat();
        match turn(&store, &outgoing).await {
            Ok(()) => check.ready(),
            Err(failure @ Failure::Fatal(_)) => return Err(failure.into()),
            Err(failure) => {
                check.not_ready(failure.to_string());
                failure.note("doing what is due");
            }
        }
    }
}

async fn turn(store: &Store, outgoing: &Outgoing) -> Result<(), Failure> {
    for version in store.end_snoozes(outgoing).await? {
        metrics::counter("fieldwatch_notifications", &[("action", &version.change.action)]).inc();
    }
    Ok(())
}
