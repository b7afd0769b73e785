//! Wires the service: rules to operator to workers, and a watch on the rules' file.

use std::sync::Arc;

use events::TemperatureAlert;
use service::{Health, Supervisor};
use stream::operator::{self, OperatorContext};
use stream::{EventWriter, Registry};
use tokio::sync::watch;

use crate::operator::AlertOperator;
use crate::reload::Reload;
use crate::{Config, DEFINITION};

/// Starts the service's parts.
pub async fn start(config: Config, health: &Health, supervisor: &mut Supervisor) -> service::StartResult {
    let rules = Arc::new(config.rules.load().map_err(anyhow::Error::msg)?);
    let registry = Registry::connect(&config.registry)?;
    let writer = EventWriter::new(DEFINITION.name, &config.kafka);
    let Some(writer) = registry
        .until_reached(&health.check("registry"), &supervisor.shutdown(), || writer.clone().with::<TemperatureAlert>(&registry))
        .await?
    else {
        return Ok(());
    };
    let context = OperatorContext { kafka: config.kafka, registry, writer, config: config.operator };
    let (operators, in_force) = watch::channel(Arc::new(AlertOperator::new(Arc::clone(&rules))));
    operator::start(&in_force, &context, health, supervisor);
    supervisor.spawn("rules", Reload::new(config.rules, rules, operators).run(supervisor.shutdown()));
    Ok(())
}
