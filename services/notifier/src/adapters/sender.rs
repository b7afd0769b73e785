//! Sends deliveries to webhooks and e-mails.
//!
//! Guarantees: a delivery that is in the database is attempted until it is delivered, given up or no longer wanted,
//! whoever dies meanwhile; every attempt carries the same id. An endpoint has one sender at a time, which keeps its
//! concurrency and its rate, and spares it while it fails.

mod attempt;
mod work;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use service::{HealthCheck, Shutdown};
use stream::Failure;
use telemetry::metrics;
use uuid::Uuid;

use super::db::{Store, classify};
use super::guard::Clients;
use super::mailer::Mailer;
use super::vault::Vault;
use crate::config::DeliveryConfig;
use crate::domain::retry::Schedule;

/// How often is looked for endpoints with something due.
const PACE: Duration = Duration::from_millis(250);
/// How often those that are spared are counted.
const COUNT: Duration = Duration::from_secs(2);

pub struct Sender {
    store: Store,
    vault: Arc<Vault>,
    clients: Clients,
    mailer: Arc<Mailer>,
    config: DeliveryConfig,
    /// This replica, to other replicas.
    owner: Uuid,
}

impl Sender {
    pub fn new(store: Store, vault: Arc<Vault>, clients: Clients, mailer: Arc<Mailer>, config: DeliveryConfig) -> Self {
        Self { store, vault, clients, mailer, config, owner: Uuid::now_v7() }
    }

    /// Sends what is due until shutdown, then ends the attempts under way and gives the endpoints back.
    pub async fn run(self, check: HealthCheck, shutdown: Shutdown) -> anyhow::Result<()> {
        let mut working = FuturesUnordered::new();
        let mut pace = tokio::time::interval(PACE);
        let mut count = tokio::time::interval(COUNT);
        while !shutdown.is_cancelled() {
            tokio::select! {
                () = shutdown.cancelled() => {}
                Some(outcome) = working.next() => noted(outcome)?,
                _ = count.tick() => noted(self.count_spared().await)?,
                _ = pace.tick() => {
                    check.beat();
                    let free = self.config.endpoints.saturating_sub(working.len());
                    match self.store.take_endpoints(self.owner, self.config.lease, free as i64).await {
                        Ok(taken) => {
                            check.ready();
                            working.extend(taken.into_iter().map(|(lease, breaker)| self.work(lease, breaker, &shutdown)));
                        }
                        Err(error) => {
                            let failure = classify(&error);
                            check.not_ready(failure.to_string());
                            noted(Err(failure))?;
                        }
                    }
                }
            }
        }
        while let Some(outcome) = working.next().await {
            noted(outcome)?;
        }
        Ok(())
    }

    async fn count_spared(&self) -> Result<(), Failure> {
        let spared = self.store.spared_endpoints().await.map_err(|error| classify(&error))?;
        metrics::gauge("fieldwatch_breakers_open", &[]).set(spared as f64);
        Ok(())
    }

    fn schedule(&self) -> Schedule {
        Schedule { first: self.config.first_retry, longest: self.config.longest_retry }
    }
}

/// What failed for now is taken up again when its lease is over.
fn noted(outcome: Result<(), Failure>) -> anyhow::Result<()> {
    match outcome {
        Ok(()) => Ok(()),
        Err(failure @ Failure::Fatal(_)) => Err(failure.into()),
        Err(failure) => {
            failure.note("sending deliveries");
            Ok(())
        }
    }
}
