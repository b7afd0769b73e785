//! Wires the relay's parts into the supervisor.

use anyhow::Context;
use service::{Health, Supervisor};
use uuid::Uuid;

use crate::adapters::kafka::Records;
use crate::adapters::postgres::Store;
use crate::config::Config;
use crate::relay::{Checks, Relay};
use crate::tenure::Tenure;

/// Adds the relay to `supervisor`. Returns at once: Kafka and Postgres may come later.
pub async fn start(config: Config, health: &Health, supervisor: &mut Supervisor) -> anyhow::Result<()> {
    let checks = Checks { kafka: health.check("kafka"), postgres: health.check("postgres") };
    let store = Store::new(&config.database)?;
    let records = Records::connect(&config.kafka, config.publish.timeout)?;
    let owner = owner().await?;
    tracing::info!(owner, "relaying");
    let tenure = Tenure::new(owner, store.clone(), config.lease.clone());
    let relay = Relay::new(config, store, records, tenure, checks, supervisor.shutdown());
    supervisor.spawn("relay", relay.run());
    Ok(())
}

/// A name no relay had before, with the host's so that people can find it.
async fn owner() -> anyhow::Result<String> {
    let host = tokio::fs::read_to_string("/proc/sys/kernel/hostname").await.context("the host's name")?;
    Ok(format!("{}/{}", host.trim(), Uuid::now_v7()))
}
