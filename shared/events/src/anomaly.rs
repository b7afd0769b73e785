//! What a model found, and the statistics it was found in.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::schema;
use crate::{Event, Labels, Schema, Timestamp, identity, topics};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AnomalyState {
    Opened,
    Closed,
    #[serde(other)]
    Unknown,
}

/// The model that scored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    pub name: String,
    pub version: String,
    /// Of `model.onnx`, hex.
    pub sha256: String,
}

/// A feature or signal and its share of the score, 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contribution {
    pub feature: String,
    pub share: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Anomaly {
    pub tenant: String,
    /// `UUIDv5`: one per excursion, see [`identity::excursion_id`].
    pub anomaly_id: String,
    pub device_id: String,
    pub group_id: Option<String>,
    pub metric: String,
    pub state: AnomalyState,
    /// 0 (usual) to 1.
    pub score: f64,
    pub threshold: f64,
    pub value: f64,
    pub expected: Option<f64>,
    pub band_low: Option<f64>,
    pub band_high: Option<f64>,
    pub confidence: f64,
    pub started_at: Timestamp,
    pub changed_at: Timestamp,
    pub model: Model,
    pub contributions: Vec<Contribution>,
    pub labels: Labels,
}

impl Event for Anomaly {
    const SCHEMA: Schema = schema!("anomaly", "Anomaly", topics::ANOMALIES);

    fn key(&self) -> String {
        identity::kafka_key(&self.tenant, &self.device_id)
    }

    fn event_id(&self) -> Uuid {
        let changed_at = self.changed_at.as_micros().to_string();
        identity::uuid_of("anomaly-change", &[&self.anomaly_id, &format!("{:?}", self.state), &changed_at])
    }

    fn time(&self) -> Timestamp {
        self.changed_at
    }

    fn subject(&self) -> &str {
        &self.device_id
    }
}

/// Statistics of one device and metric over `window_start..window_end`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Aggregate {
    pub tenant: String,
    pub device_id: String,
    pub group_id: Option<String>,
    pub metric: String,
    pub window_start: Timestamp,
    pub window_end: Timestamp,
    /// Late corrections count up; the highest wins.
    pub revision: i32,
    pub count: i64,
    pub mean: f64,
    pub min: f64,
    pub max: f64,
    pub last: f64,
    pub stddev: f64,
    pub expected: Option<f64>,
    pub band_low: Option<f64>,
    pub band_high: Option<f64>,
    pub max_score: Option<f64>,
    pub anomaly_id: Option<String>,
}

impl Event for Aggregate {
    const SCHEMA: Schema = schema!("aggregate", "Aggregate", topics::AGGREGATES);

    fn key(&self) -> String {
        identity::kafka_key(&self.tenant, self.group_id.as_deref().unwrap_or(&self.device_id))
    }

    fn event_id(&self) -> Uuid {
        let window = [self.window_start, self.window_end].map(|at| at.as_micros().to_string());
        let revision = self.revision.to_string();
        identity::uuid_of("aggregate", &[&self.tenant, &self.device_id, &self.metric, &window[0], &window[1], &revision])
    }

    fn time(&self) -> Timestamp {
        self.window_end
    }

    fn subject(&self) -> &str {
        &self.device_id
    }
}
