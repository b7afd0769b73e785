//! The group stage: windows of a group's devices in, the health of its sensors and its own anomalies out.

use std::time::Duration;

use events::{Aggregate, Anomaly, Contribution, HealthState, MetricHealth, Model, SensorHealth, Timestamp};
use serde::{Deserialize, Serialize};
use stream::Failure;
use stream::operator::{NoNotice, Operator, Outputs, State};

use super::about::{About, anomaly};
use crate::domain::group::{Condition, Fused, Group, GroupRules, Health, Quantity};

/// What the group stage's anomalies say found them.
const MODEL: &str = "group-fusion";

pub struct GroupOperator {
    rules: GroupRules,
    forget_after: Duration,
    model: Model,
}

/// What is kept of a group.
#[derive(Default, Serialize, Deserialize)]
pub struct Grouped {
    tenant: String,
    group_id: String,
    group: Group,
    /// What spoke loudest when it opened.
    last_value: f64,
}

impl State for Grouped {
    const FORMAT: u8 = 1;

    fn is_idle(&self) -> bool {
        self.group.is_empty()
    }
}

impl GroupOperator {
    /// `digest` names the rules: an anomaly says by which it was found.
    pub fn new(rules: GroupRules, forget_after: Duration, digest: String) -> Self {
        let model = Model { name: MODEL.to_owned(), version: env!("CARGO_PKG_VERSION").to_owned(), sha256: digest };
        Self { rules, forget_after, model }
    }

    fn anomaly(&self, state: &Grouped, fused: &Fused) -> Anomaly {
        let share = |part: f64| if fused.confidence > 0.0 { (part / fused.confidence).min(1.0) } else { 0.0 };
        let about = About { tenant: state.tenant.clone(), device_id: fused.device_id.clone(), group_id: Some(state.group_id.clone()) };
        let changed_at = Timestamp::from_micros(fused.at_micros);
        Anomaly {
            score: fused.spoke.first().map_or(0.0, |loudest| loudest.strength),
            threshold: f64::from(self.rules.fusion.thresholds.open_above),
            value: state.last_value,
            confidence: fused.confidence,
            contributions: fused
                .spoke
                .iter()
                .map(|spoke| Contribution {
                    feature: format!("{}/{} {}", spoke.device_id, spoke.metric, name_of(spoke.quantity)),
                    share: share(spoke.part),
                })
                .collect(),
            ..anomaly(&about, &fused.metric, fused.transition, self.model.clone(), changed_at)
        }
    }

    fn say_fused(&self, state: &mut Grouped, fused: &Fused, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        if let Some(loudest) = fused.spoke.first() {
            state.last_value = loudest.value;
        }
        outputs.emit(&self.anomaly(state, fused))
    }
}

impl Operator for GroupOperator {
    type Event = Aggregate;
    type Notice = NoNotice;
    type State = Grouped;

    const STAGE: &'static str = "anomaly-detector-group";

    /// A window is known when it ends.
    fn received_at(&self, window: &Aggregate) -> Timestamp {
        window.window_end
    }

    fn on_event(&self, _key: &str, window: &Aggregate, state: &mut Grouped, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        let Some(group_id) = &window.group_id else { return Ok(()) };
        if (&state.tenant, &state.group_id) != (&window.tenant, group_id) {
            (state.tenant, state.group_id) = (window.tenant.clone(), group_id.clone());
        }
        let said = state.group.take(window, &self.rules);
        for device_id in &said.health {
            outputs.emit(&sensor_health(state, device_id, window.window_end))?;
        }
        match said.fused {
            Some(fused) => self.say_fused(state, &fused, outputs),
            None => Ok(()),
        }
    }

    fn due(&self, state: &Grouped) -> Option<Timestamp> {
        if state.group.is_empty() {
            return None;
        }
        let forgotten = Timestamp::from_micros(state.group.newest()).saturating_add(self.forget_after);
        state.group.due(&self.rules).map(Timestamp::from_micros).into_iter().chain([forgotten]).min()
    }

    fn on_time(&self, _key: &str, now: Timestamp, state: &mut Grouped, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        if state.group.due(&self.rules).is_some_and(|due| due <= now.as_micros())
            && let Some(fused) = state.group.expire(now.as_micros())
        {
            self.say_fused(state, &fused, outputs)?;
        }
        if now >= Timestamp::from_micros(state.group.newest()).saturating_add(self.forget_after) {
            state.group = Group::default();
        }
        Ok(())
    }
}

fn sensor_health(state: &Grouped, device_id: &str, changed_at: Timestamp) -> SensorHealth {
    let metrics = state.group.health_of(device_id).map(|(metric, health)| {
        let Health { condition, weight, residual, since_micros } = health;
        let state = match condition {
            Condition::Healthy => HealthState::Healthy,
            Condition::Drifting => HealthState::Drifting,
            Condition::Stuck => HealthState::Stuck,
        };
        MetricHealth { metric: metric.to_owned(), state, weight, residual, since: Timestamp::from_micros(since_micros) }
    });
    SensorHealth {
        tenant: state.tenant.clone(),
        device_id: device_id.to_owned(),
        group_id: Some(state.group_id.clone()),
        changed_at,
        metrics: metrics.collect(),
    }
}

fn name_of(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Mean => "mean",
        Quantity::Max => "max",
        Quantity::Min => "min",
        Quantity::Change => "change",
        Quantity::Deviation => "deviation",
    }
}
