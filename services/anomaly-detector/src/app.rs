//! Wires the service: model to operators to workers.

use std::sync::Arc;

use events::{Aggregate, Anomaly, SensorHealth};
use service::{Health, Supervisor};
use stream::operator::{self, OperatorContext};
use stream::{EventWriter, Registry};
use tokio::sync::watch;

use crate::adapters::{Runtime, sha256};
use crate::reload::Reload;
use crate::stages::{AggregatesOperator, DetectorOperator, GroupOperator};
use crate::{Config, DEFINITION};

/// Starts the service's parts.
pub async fn start(config: Config, health: &Health, supervisor: &mut Supervisor) -> service::StartResult {
    let runtime = Runtime::load(&config.model.runtime_library)?;
    let detection = config.detection(&runtime, &config.usable_model()?)?;
    let detector = Arc::new(DetectorOperator::new(detection, config.lifecycle.forget_after));

    let registry = Registry::connect(&config.registry)?;
    let writer = EventWriter::new(DEFINITION.name, &config.kafka);
    let register =
        async || writer.clone().with::<Anomaly>(&registry).await?.with::<Aggregate>(&registry).await?.with::<SensorHealth>(&registry).await;
    let Some(writer) = registry.until_reached(&health.check("registry"), &supervisor.shutdown(), register).await? else {
        return Ok(());
    };
    let context = OperatorContext { kafka: config.kafka.clone(), registry, writer, config: config.operator.clone() };
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
    let events::Model { name, version, sha256 } = detector.model();
    tracing::info!(name, version, sha256, "model loaded");
    let (operators, in_force) = watch::channel(Arc::clone(&detector));
    operator::start(&in_force, &context, health, supervisor);
    supervisor.spawn("model", Reload::new(config, runtime, detector, operators).run(supervisor.shutdown()));
    Ok(())
}
