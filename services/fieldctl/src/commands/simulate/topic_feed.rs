//! Synthetic events straight into a topic, as the service that owns it would write them.

use std::time::SystemTime;

use events::identity::{DEFAULT_TENANT, kafka_key};
use events::{Anomaly, Command, DeviceStatus, Event, Reading, TemperatureAlert};

use crate::adapters::outlet::KafkaOutlet;
use crate::config::Config;
use crate::context::wrong_usage;
use crate::domain::device::Signal;
use crate::domain::fleet::{FleetPlan, Step};
use crate::domain::synthetic;

pub(crate) struct TopicFeed {
    kind: Kind,
    plan: FleetPlan,
    outlet: KafkaOutlet,
}

#[derive(Clone, Copy)]
enum Kind {
    Readings,
    Statuses,
    Alerts,
    Anomalies,
    Commands,
}

const KINDS: [Kind; 5] = [Kind::Readings, Kind::Statuses, Kind::Alerts, Kind::Anomalies, Kind::Commands];

impl Kind {
    fn topic(self) -> &'static str {
        match self {
            Self::Readings => Reading::SCHEMA.topic,
            Self::Statuses => DeviceStatus::SCHEMA.topic,
            Self::Alerts => TemperatureAlert::SCHEMA.topic,
            Self::Anomalies => Anomaly::SCHEMA.topic,
            Self::Commands => Command::SCHEMA.topic,
        }
    }
}

impl TopicFeed {
    pub(crate) async fn connect(config: &Config, topic: &str, plan: FleetPlan) -> anyhow::Result<Self> {
        let Some(kind) = KINDS.into_iter().find(|kind| kind.topic() == topic) else {
            let known = KINDS.map(Kind::topic).join(", ");
            return Err(wrong_usage(format!("--into {topic}: synthetic events go into one of {known}")));
        };
        let outlet = KafkaOutlet::connect(&config.kafka)?;
        let outlet = match kind {
            Kind::Readings => outlet.with::<Reading>(&config.registry).await?,
            Kind::Statuses => outlet.with::<DeviceStatus>(&config.registry).await?,
            Kind::Alerts => outlet.with::<TemperatureAlert>(&config.registry).await?,
            Kind::Anomalies => outlet.with::<Anomaly>(&config.registry).await?,
            Kind::Commands => outlet.with::<Command>(&config.registry).await?,
        };
        Ok(Self { kind, plan, outlet })
    }

    /// Whether the step said anything.
    pub(crate) async fn send(&mut self, step: &Step) -> anyhow::Result<bool> {
        let (plan, outlet) = (&self.plan, &mut self.outlet);
        match (step.signal, self.kind) {
            (Signal::Silence, _) => return Ok(false),
            (Signal::Garbage(kind), _) => {
                let key = kafka_key(DEFAULT_TENANT, &plan.device_id(step.device));
                outlet.send_bytes(self.kind.topic(), key, synthetic::garbage(kind)).await?;
            }
            (Signal::Value(value), Kind::Readings) => {
                outlet.send_event(&synthetic::reading(plan, step, value, SystemTime::now().into())).await?;
            }
            (Signal::Value(_), Kind::Statuses) => outlet.send_event(&synthetic::status(plan, step)).await?,
            (Signal::Value(_), Kind::Alerts) => outlet.send_event(&synthetic::alert(plan, step)).await?,
            (Signal::Value(_), Kind::Anomalies) => outlet.send_event(&synthetic::anomaly(plan, step)).await?,
            (Signal::Value(_), Kind::Commands) => outlet.send_event(&synthetic::command(plan, step, SystemTime::now().into())).await?,
        }
        Ok(true)
    }

    pub(crate) async fn finish(mut self) -> anyhow::Result<()> {
        Ok(self.outlet.delivered().await.map(drop)?)
    }
}
