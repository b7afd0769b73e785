//! Wires the service: one sink on the readings.

use events::topics;
use service::{Health, Supervisor};
use stream::{Registry, sink};

use crate::adapters::Readings;
use crate::{Config, DEFINITION};

/// Starts the service's parts.
#[expect(clippy::unused_async, reason = "what starts a service may wait for what it needs")]
pub async fn start(config: Config, health: &Health, supervisor: &mut Supervisor) -> service::StartResult {
    let readings = Readings::new(Registry::connect(&config.registry)?);
    sink::start(readings, DEFINITION.name, &[topics::READINGS], &config.kafka, &config.sink, health, supervisor);
    Ok(())
}
