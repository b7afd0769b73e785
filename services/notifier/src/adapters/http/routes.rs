//! The tree of routes: one per tenant, put as a whole.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::Api;
use super::auth::Caller;
use super::body::OptionalJson;
use super::configured;
use super::notifications::tagged;
use super::parameters::Parameters;
use super::problem::Problem;
use super::schemas;
use crate::adapters::db::{Kind, ROUTES};
use crate::domain::access::Scope;
use crate::domain::routing::Route;

/// Get the tree of routes.
#[utoipa::path(
    get, path = "/v1/routes", tag = "configuration", operation_id = "getRoutes",
    params(("If-None-Match" = Option<String>, Header, description = "`ETag` of the version that is known")),
    responses(
        (status = 200, description = "The tree", body = schemas::RouteEntry, headers(("ETag" = String, description = "The version"))),
        (status = 304, description = "As known"),
    ),
)]
pub(super) async fn find(State(api): State<Arc<Api>>, caller: Caller, given: Parameters, headers: HeaderMap) -> Result<Response, Problem> {
    let principal = caller.may(Scope::Read)?;
    given.finish()?;
    if let Some(entry) = api.store.entry(&principal.tenant, Kind::Route, ROUTES).await? {
        return Ok(configured::answer(&headers, entry));
    }
    let mut tree = serde_json::to_value(Route::by_default()).unwrap_or_default();
    let about = json!({ "name": ROUTES, "version": 0, "updated_at": null, "updated_by": null });
    if let (Some(tree), Value::Object(about)) = (tree.as_object_mut(), about) {
        tree.extend(about);
    }
    Ok(tagged(&headers, "0", tree))
}

/// Replace the tree of routes.
#[utoipa::path(
    put, path = "/v1/routes", tag = "configuration", operation_id = "putRoutes", request_body = schemas::Route,
    params(
        ("If-Match" = Option<String>, Header, description = "The version it must have"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: none must be configured"),
    ),
    responses(
        (status = 200, description = "Replaced", body = schemas::RouteEntry, headers(("ETag" = String, description = "The version"))),
        (status = 201, description = "Made", body = schemas::RouteEntry, headers(("ETag" = String, description = "The version"))),
        (status = 412, description = "It has another version", body = super::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn put(
    State(api): State<Arc<Api>>,
    caller: Caller,
    given: Parameters,
    headers: HeaderMap,
    OptionalJson(body): OptionalJson<Map<String, Value>>,
) -> Result<Response, Problem> {
    let principal = caller.may(Scope::Admin)?;
    given.finish()?;
    configured::put(&api, &principal, &headers, (Kind::Route, ROUTES), body).await
}
