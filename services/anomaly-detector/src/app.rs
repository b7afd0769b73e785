//! Wires the service: model to operators to workers.

use events::{Aggregate, Anomaly, SensorHealth};
use service::{Health, Supervisor};
use stream::operator::{self, OperatorContext};
use stream::{EventWriter, Registry};

use crate::adapters::{Model, Runtime, Scorer, sha256};
use crate::stages::{AggregatesOperator, Detection, DetectorOperator, GroupOperator};
use crate::{Config, DEFINITION};

/// Starts the service's parts.
pub async fn start(config: Config, health: &Health, supervisor: &mut Supervisor) -> service::StartResult {
    let runtime = Runtime::load(&config.model.runtime_library)?;
    let detector = detector(&config, &runtime, &config.model.open()?)?;

    let registry = Registry::connect(&config.registry)?;
    let writer = EventWriter::new(DEFINITION.name, &config.kafka);
    let register =
        async || writer.clone().with::<Anomaly>(&registry).await?.with::<Aggregate>(&registry).await?.with::<SensorHealth>(&registry).await;
    let Some(writer) = registry.until_reached(&health.check("registry"), &supervisor.shutdown(), register).await? else {
        return Ok(());
    };
    let context = OperatorContext { kafka: config.kafka, registry, writer, config: config.operator };
    if config.aggregates.enabled {
        let rules = config.aggregates.rules().map_err(anyhow::Error::msg)?;
        let aggregates = AggregatesOperator::new(rules, config.aggregates.grace, config.lifecycle.forget_after);
        operator::start_fixed(aggregates, &context, health, supervisor);
    }
    if config.group.enabled {
        let rules = config.group.rules();
        let digest = sha256(format!("{rules:?}").as_bytes());
        operator::start_fixed(GroupOperator::new(rules, config.lifecycle.forget_after, digest), &context, health, supervisor);
    }
    operator::start_fixed(detector, &context, health, supervisor);
    Ok(())
}

fn detector(config: &Config, runtime: &Runtime, model: &Model) -> anyhow::Result<DetectorOperator> {
    let scorer = Scorer::open(runtime, model)?;
    let manifest = scorer.manifest();
    tracing::info!(model = manifest.name, version = manifest.version, sha256 = manifest.sha256, "model loaded");
    let sensitivity = config.sensitivity(manifest);
    Ok(DetectorOperator::new(Detection::new(scorer, sensitivity), config.lifecycle.forget_after))
}
