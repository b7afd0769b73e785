//! Wires the relay's parts into the supervisor.

use anyhow::Context;
use service::{Health, Supervisor};
use uuid::Uuid;

use crate::config::Config;
use crate::relay::{self, Parts};

/// Adds the relay to `supervisor`. Returns at once: Kafka and Postgres may come later.
pub async fn start(config: Config, health: &Health, supervisor: &mut Supervisor) -> anyhow::Result<()> {
    let owner = owner().await?;
    tracing::info!(owner, "relaying");
    let parts = Parts::new(config, owner, health, &supervisor.shutdown())?;
    supervisor.spawn("relay", relay::run(parts, health.clone()));
    Ok(())
}

/// A name no relay had before, with the host's so that people can find it.
async fn owner() -> anyhow::Result<String> {
    let host = tokio::fs::read_to_string("/proc/sys/kernel/hostname").await.context("the host's name")?;
    Ok(format!("{}/{}", host.trim(), Uuid::now_v7()))
}
