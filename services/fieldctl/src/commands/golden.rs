//! Publishes one golden example of every event, for readers in other languages to decode.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;
use events::{Aggregate, Anomaly, Blob, DeviceStatus, Event, Notification, Reading, SensorHealth, TemperatureAlert};

use crate::SUCCESS;
use crate::adapters::outlet::KafkaOutlet;
use crate::context::Context;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// One example of every event into its topic
    Publish {
        /// Folder of the examples, EVENT-1.json
        #[arg(long, value_name = "DIR", default_value = "schemas/golden")]
        dir: PathBuf,
    },
}

pub(crate) async fn run(command: &Command, context: &mut Context<'_>) -> anyhow::Result<u8> {
    let Command::Publish { dir } = command;
    publish::<Reading>(dir, context).await?;
    publish::<DeviceStatus>(dir, context).await?;
    publish::<Blob>(dir, context).await?;
    publish::<TemperatureAlert>(dir, context).await?;
    publish::<Anomaly>(dir, context).await?;
    publish::<Aggregate>(dir, context).await?;
    publish::<SensorHealth>(dir, context).await?;
    publish::<Notification>(dir, context).await?;
    Ok(SUCCESS)
}

async fn publish<E: Event>(folder: &Path, context: &mut Context<'_>) -> anyhow::Result<()> {
    let path = folder.join(format!("{}-1.json", E::SCHEMA.file));
    let example = std::fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    let example: E = serde_json::from_slice(&example).with_context(|| format!("{} is no {}", path.display(), E::SCHEMA.name))?;
    let mut outlet = KafkaOutlet::connect(&context.config.kafka)?.with::<E>(&context.config.registry).await?;
    outlet.send_event(&example).await?;
    for (partition, offset) in outlet.delivered().await? {
        context.out.line(format_args!("{} {partition}:{offset}", E::SCHEMA.topic))?;
    }
    Ok(())
}
