//! Wires the service: one operator on the commands, which hears what devices report.

use events::{CommandResult, OutboundCommand};
use service::{Health, Supervisor};
use stream::operator::{self, OperatorContext};
use stream::{EventWriter, Registry};

use crate::operator::CommandOperator;
use crate::{Config, DEFINITION};

/// Starts the service's parts.
pub async fn start(config: Config, health: &Health, supervisor: &mut Supervisor) -> service::StartResult {
    let commands = CommandOperator::new(config.limits());
    let registry = Registry::connect(&config.registry)?;
    let writer = EventWriter::new(DEFINITION.name, &config.kafka);
    let with_events = || async { writer.clone().with::<OutboundCommand>(&registry).await?.with::<CommandResult>(&registry).await };
    let Some(writer) = registry.until_reached(&health.check("registry"), &supervisor.shutdown(), with_events).await? else {
        return Ok(());
    };
    let context = OperatorContext { kafka: config.kafka, registry, writer, config: config.operator };
    operator::start_fixed(commands, &context, health, supervisor);
    Ok(())
}
