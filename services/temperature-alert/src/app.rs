//! Wires the service: configuration to operator to workers.

use std::sync::Arc;

use events::TemperatureAlert;
use service::{Health, Supervisor};
use stream::operator::{self, OperatorContext};
use stream::{EventWriter, Registry};

use crate::operator::AlertOperator;
use crate::{Config, DEFINITION};

/// Starts the service's parts.
pub async fn start(config: Config, health: &Health, supervisor: &mut Supervisor) -> service::StartResult {
    let rules = config.rules.load().map_err(anyhow::Error::msg)?;
    let registry = Registry::connect(&config.registry)?;
    let writer = EventWriter::new(DEFINITION.name, &config.kafka);
    let Some(writer) = registry
        .until_reached(&health.check("registry"), &supervisor.shutdown(), || writer.clone().with::<TemperatureAlert>(&registry))
        .await?
    else {
        return Ok(());
    };
    let context = OperatorContext { kafka: config.kafka, registry, writer, config: config.operator };
    operator::start_fixed(AlertOperator::new(Arc::new(rules)), &context, health, supervisor);
    Ok(())
}
