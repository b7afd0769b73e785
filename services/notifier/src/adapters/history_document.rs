//! A device's history as JSON.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::document::Rfc3339;
use super::examples;

/// What a metric of a device was, in steps that end before `to`.
#[derive(Serialize, ToSchema)]
#[schema(example = examples::history)]
pub struct History {
    pub device_id: String,
    pub metric: String,
    /// Beginning of the first step.
    #[schema(value_type = String, format = DateTime)]
    pub from: Rfc3339,
    #[schema(value_type = String, format = DateTime)]
    pub to: Rfc3339,
    /// Length of a step, e.g. `5m`.
    pub step: String,
    /// By time; steps without a reading are left out.
    pub data: Vec<HistoryPoint>,
}

/// What was measured within a step. Values are in the metric's unit.
#[derive(Serialize, ToSchema)]
pub struct HistoryPoint {
    /// Beginning of the step.
    #[schema(value_type = String, format = DateTime)]
    pub at: Rfc3339,
    /// Readings.
    pub count: i64,
    pub mean: f64,
    pub min: f64,
    pub max: f64,
    /// Measured last.
    pub last: f64,
    pub stddev: f64,
    /// What was expected, and the band it was expected in; null while the device is being learned.
    pub expected: Option<f64>,
    pub band_low: Option<f64>,
    pub band_high: Option<f64>,
    /// Highest anomaly score, 0 to 1.
    pub max_score: Option<f64>,
    /// Anomaly that was open last.
    pub anomaly_id: Option<Uuid>,
}
