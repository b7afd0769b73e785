//! The relay: lanes publish, one task keeps the leases, and on a stop the lanes end first.
//!
//! Guarantees: a row is deleted only after its acknowledgement and under the lease it was read with; a failure of one row
//! holds back its own aggregate alone; while Kafka or Postgres is away nothing is lost and nothing spins.

mod keeping;
mod lane;
mod sending;
mod waking;

use std::sync::Arc;

use service::{Health, HealthCheck, Shutdown};
use stream::Failure;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::adapters::kafka::Records;
use crate::adapters::postgres::Store;
use crate::config::Config;
use crate::domain::Backoff;
use crate::measures::Measures;
use crate::tenure::Tenure;

/// What every part of the relay works with.
pub(crate) struct Parts {
    config: Config,
    store: Store,
    records: Records,
    tenure: Tenure,
    measures: Measures,
    kafka: HealthCheck,
    postgres: HealthCheck,
    stop: Shutdown,
    /// For each lane.
    wakes: Vec<Notify>,
}

/// What went wrong, by who it was with.
pub(crate) enum Trouble {
    Kafka(Failure),
    Postgres(Failure),
}

impl Parts {
    pub(crate) fn new(config: Config, owner: String, health: &Health, shutdown: &Shutdown) -> anyhow::Result<Self> {
        let store = Store::new(&config.database, config.relay.lanes)?;
        Ok(Self {
            records: Records::connect(&config.kafka, config.publish.timeout)?,
            tenure: Tenure::new(owner, store.clone(), config.lease.clone(), config.relay.lanes),
            measures: Measures::new(),
            kafka: health.check("kafka"),
            postgres: health.check("postgres"),
            stop: shutdown.child_token(),
            wakes: (0..config.relay.lanes).map(|_| Notify::new()).collect(),
            config,
            store,
        })
    }

    /// Says what is wrong, to people and to the probe. Fatal ends the relay.
    fn note(&self, trouble: Trouble) -> anyhow::Result<()> {
        let (what, check, failure) = match trouble {
            Trouble::Kafka(failure) => {
                self.records.is_there(false);
                ("publishing", &self.kafka, failure)
            }
            Trouble::Postgres(failure) => ("with the outbox", &self.postgres, failure),
        };
        failure.note(what);
        check.not_ready(failure.to_string());
        if matches!(failure, Failure::Fatal(_)) { Err(anyhow::Error::new(failure)) } else { Ok(()) }
    }

    fn backoff(&self) -> Backoff {
        self.config.retry.backoff()
    }
}

/// Runs until the shutdown; Fatal ends it earlier. Either way nothing is left under way and the slots are free.
pub(crate) async fn run(parts: Parts, health: Health) -> anyhow::Result<()> {
    let parts = Arc::new(parts);
    let lanes_ended = Shutdown::new();
    let (mut lanes, mut others) = (JoinSet::new(), JoinSet::new());
    for lane in 0..parts.config.relay.lanes {
        lanes.spawn(lane::run(Arc::clone(&parts), lane, health.check(format!("lane-{lane}"))));
    }
    others.spawn(keeping::run(Arc::clone(&parts), lanes_ended.clone()));
    others.spawn(waking::run(Arc::clone(&parts)));
    let mut outcome = Ok(());
    loop {
        let ended = tokio::select! {
            biased;
            Some(ended) = lanes.join_next() => ended,
            Some(ended) = others.join_next() => ended,
            else => return outcome,
        };
        if let Err(failure) = ended.map_err(anyhow::Error::new).flatten() {
            parts.stop.cancel();
            outcome = outcome.and(Err(failure));
        }
        if lanes.is_empty() {
            lanes_ended.cancel();
        }
    }
}
