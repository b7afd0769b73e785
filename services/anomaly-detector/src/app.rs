//! Wires the service: model to operator to workers.

use events::Anomaly;
use service::{Health, Supervisor};
use stream::operator::{self, OperatorContext};
use stream::{EventWriter, Registry};

use crate::adapters::{Runtime, Scorer};
use crate::operator::DetectorOperator;
use crate::{Config, DEFINITION};

/// Starts the service's parts.
pub async fn start(config: Config, health: &Health, supervisor: &mut Supervisor) -> service::StartResult {
    let model = config.model.open()?;
    let runtime = Runtime::load(&config.model.runtime_library)?;
    let scorer = Scorer::open(&runtime, &model)?;
    let thresholds = config.model.thresholds(scorer.manifest());
    tracing::info!(model = scorer.manifest().name, version = scorer.manifest().version, sha256 = scorer.manifest().sha256, "model loaded");

    let registry = Registry::connect(&config.registry)?;
    let writer = EventWriter::new(DEFINITION.name, &config.kafka);
    let register = || writer.clone().with::<Anomaly>(&registry);
    let Some(writer) = registry.until_reached(&health.check("registry"), &supervisor.shutdown(), register).await? else {
        return Ok(());
    };
    let context = OperatorContext { kafka: config.kafka, registry, writer, config: config.operator };
    operator::start_fixed(DetectorOperator::new(scorer, thresholds), &context, health, supervisor);
    Ok(())
}
