//! `GET /v1/devices/{id}/history`: what was measured, in steps.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::extract::{Path, State};
use events::Timestamp;
use utoipa::IntoParams;

use super::Api;
use super::auth::Caller;
use super::devices::look;
use super::parameters::{Parameters, time};
use super::problem::{Mistake, Problem};
use crate::adapters::document::Rfc3339;
use crate::adapters::history_document::History;
use crate::domain::access::Scope;
use crate::domain::history::{Asked, Grid, NotAGrid};

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
    Ok(Json(History { device_id: id, metric, from: Rfc3339(grid.from), to: Rfc3339(grid.to), step: grid.step.to_string(), data: points }))
}
