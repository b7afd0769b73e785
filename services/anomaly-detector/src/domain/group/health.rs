//! How far a sensor can be trusted.

use serde::{Deserialize, Serialize};

use super::{Drift, Stuck};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    #[default]
    Healthy,
    Drifting,
    Stuck,
}

/// Deviations at which a drifting sensor's word counts for half.
const HALF_AT: f64 = 3.0;
/// A weight that moved less is not worth telling.
const WORTH_TELLING: f64 = 0.1;

/// What was told of a sensor last.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Health {
    pub condition: Condition,
    pub weight: f64,
    pub residual: Option<f64>,
    pub since_micros: i64,
}

impl Health {
    /// What is to be told now, when that is new. Nothing is told of a sensor that is not judged yet.
    pub(super) fn news(told: Option<&Self>, drift: &Drift, stuck: &Stuck, at_micros: i64) -> Option<Self> {
        let condition = match (stuck.is_stuck(), drift.is_drifting()) {
            (true, _) => Condition::Stuck,
            (false, true) => Condition::Drifting,
            (false, false) => Condition::Healthy,
        };
        if told.is_none() && condition == Condition::Healthy && !drift.is_judged() {
            return None;
        }
        let weight = match condition {
            Condition::Healthy => 1.0,
            Condition::Drifting => HALF_AT / (HALF_AT + drift.off().abs()),
            Condition::Stuck => 0.0,
        };
        let same = told.filter(|told| told.condition == condition);
        if same.is_some_and(|told| (told.weight - weight).abs() < WORTH_TELLING) {
            return None;
        }
        Some(Self { condition, weight, residual: drift.residual(), since_micros: same.map_or(at_micros, |told| told.since_micros) })
    }
}
