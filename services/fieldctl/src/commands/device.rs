//! What is about one device.

use std::time::Duration;

use clap::Subcommand;
use uuid::Uuid;

use crate::SUCCESS;
use crate::adapters::mqtt::Broker;
use crate::context::{Context, wrong_usage};
use crate::domain::payload::status_topic;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Say for good that a device is gone: its alerts resolve, its state is forgotten
    Retire {
        /// The device's id
        id: String,
        /// Broker [default: mqtt.url of the configuration]
        #[arg(long, value_name = "URL")]
        mqtt: Option<String>,
    },
}

pub(crate) async fn run(command: &Command, context: &mut Context<'_>) -> anyhow::Result<u8> {
    let Command::Retire { id, mqtt } = command;
    if id.is_empty() || id.contains(['/', '+', '#', '\0']) {
        return Err(wrong_usage(format!("`{id}` cannot be part of an MQTT topic")));
    }
    let broker = Broker::new(&context.config.mqtt, mqtt.as_deref())?;
    let mut connection = broker.connect(&format!("fieldctl-{}", Uuid::new_v4().simple()), None).await?;
    connection.publish(&status_topic(id), true, b"retired".to_vec()).await?;
    connection.acknowledged(Duration::from_secs(10)).await?;
    connection.disconnect().await?;
    context.out.line(format_args!("{id} is retired"))?;
    Ok(SUCCESS)
}
