//! Publishes one golden example of every event, or of one, for readers in other languages to decode.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;
use events::{
    Aggregate, Anomaly, Blob, Command as DeviceCommand, CommandResult, DeviceStatus, Event, Notification, OutboundCommand, Reading,
    ReportedState, Scene, SensorHealth, TemperatureAlert,
};

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
        /// Only this one, e.g. sensor-health
        #[arg(long, value_name = "EVENT")]
        event: Option<String>,
    },
}

pub(crate) async fn run(command: &Command, context: &mut Context<'_>) -> anyhow::Result<u8> {
    let Command::Publish { dir, event } = command;
    let examples = Examples { dir, only: event.as_deref() };
    examples.publish::<Reading>(context).await?;
    examples.publish::<DeviceStatus>(context).await?;
    examples.publish::<Blob>(context).await?;
    examples.publish::<TemperatureAlert>(context).await?;
    examples.publish::<Anomaly>(context).await?;
    examples.publish::<Aggregate>(context).await?;
    examples.publish::<SensorHealth>(context).await?;
    examples.publish::<Notification>(context).await?;
    examples.publish::<DeviceCommand>(context).await?;
    examples.publish::<Scene>(context).await?;
    examples.publish::<OutboundCommand>(context).await?;
    examples.publish::<ReportedState>(context).await?;
    examples.publish::<CommandResult>(context).await?;
    Ok(SUCCESS)
}

struct Examples<'a> {
    dir: &'a Path,
    only: Option<&'a str>,
}

impl Examples<'_> {
    async fn publish<E: Event>(&self, context: &mut Context<'_>) -> anyhow::Result<()> {
        if self.only.is_some_and(|only| only != E::SCHEMA.file) {
            return Ok(());
        }
        let path = self.dir.join(format!("{}-1.json", E::SCHEMA.file));
        let example = std::fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        let example: E = serde_json::from_slice(&example).with_context(|| format!("{} is no {}", path.display(), E::SCHEMA.name))?;
        let mut outlet = KafkaOutlet::connect(&context.config.kafka)?.with::<E>(&context.config.registry).await?;
        outlet.send_event(&example).await?;
        for (partition, offset) in outlet.delivered().await? {
            context.out.line(format_args!("{} {partition}:{offset}", E::SCHEMA.topic))?;
        }
        Ok(())
    }
}
