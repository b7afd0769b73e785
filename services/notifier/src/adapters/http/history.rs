//! `GET /v1/devices/{id}/history`: what was measured, in steps.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::extract::{Path, State};
use events::Timestamp;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::auth::Caller;
use super::devices::look;
use super::parameters::{Parameters, time};
use super::problem::{Mistake, Problem};
use crate::adapters::db::Point;
use crate::adapters::document::Rfc3339;
use crate::adapters::examples;
use crate::domain::access::Scope;
use crate::domain::history::{Asked, Grid, NotAGrid};

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
    #[schema(value_type = Option<String>, format = Uuid)]
    pub anomaly_id: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documents what is read by name")]
pub(super) struct HistoryParameters {
    metric: String,
    /// A day before `to` when not given.
    #[param(value_type = Option<String>, format = DateTime)]
    from: (),
    /// Now when not given.
    #[param(value_type = Option<String>, format = DateTime)]
    to: (),
    /// Like `5m` or `1h`; gives at most 2,000 points. When not given, one that gives at most 500.
    step: Option<String>,
}

/// Get what a device measured, in steps.
#[utoipa::path(
    get, path = "/v1/devices/{id}/history", tag = "devices", operation_id = "getDeviceHistory",
    params(("id" = String, Path, description = "`device_id`"), HistoryParameters),
    responses(
        (status = 200, description = "The history", body = History),
        (status = 404, description = "No such device", body = super::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn find(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    mut given: Parameters,
) -> Result<Json<History>, Problem> {
    let tenant = caller.may(Scope::Read)?.tenant;
    let metric = given.required("metric");
    let [from, to] = ["from", "to"].map(|name| given.one_as(name, "a time like 2026-01-31T08:15:30Z", time));
    let step = given.one_as("step", "a time like 5m or 1h", |text| text.parse().ok());
    given.finish()?;
    let grid = Grid::new(Asked { from, to, step }, Timestamp::from(SystemTime::now())).map_err(|problem| {
        let name = if problem == NotAGrid::Empty { "to" } else { "step" };
        Problem::invalid(vec![Mistake::parameter(name, problem.to_string())])
    })?;
    if id.contains('\0') {
        return Err(Problem::not_found());
    }
    let points = api.store.history(&tenant, &id, &metric, &grid).await?;
    // A device that is no longer heard of may still have a past, and one without a past may be there.
    if points.is_empty() {
        look(&api, |devices| devices.find(&tenant, &id).map(drop))?.ok_or_else(Problem::not_found)?;
    }
    Ok(Json(History {
        device_id: id,
        metric,
        from: Rfc3339(grid.from),
        to: Rfc3339(grid.to),
        step: grid.step.to_string(),
        data: points.into_iter().map(HistoryPoint::from).collect(),
    }))
}

impl From<Point> for HistoryPoint {
    fn from(point: Point) -> Self {
        let Point { at, count, mean, min, max, last, stddev, expected, band_low, band_high, max_score, anomaly_id } = point;
        let anomaly_id = anomaly_id.map(|id| id.to_string());
        Self { at: Rfc3339(at), count, mean, min, max, last, stddev, expected, band_low, band_high, max_score, anomaly_id }
    }
}
