//! Running scenes, and what became of that.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::{Extension, Json};
use stream::Failure;
use uuid::Uuid;

use super::Api;
use super::auth::Caller;
use super::commands::{ask, issuing};
use super::configured::named;
use super::events::once;
use super::notifications::id_of;
use super::observe::RequestTrace;
use super::parameters::Parameters;
use super::problem::Problem;
use crate::adapters::command_document::{RunDocument, SceneRunDocument};
use crate::adapters::db::{Ask, Kind};
use crate::domain::access::Scope;
use crate::domain::scene::Scene;

/// Run a scene: a command for each of its members, all of them issued or none.
///
/// Some may fail while the others go on. With an `Idempotency-Key` it is run once, however often that is sent within a day.
#[utoipa::path(
    post, path = "/v1/scenes/{name}", tag = "commands", operation_id = "runScene",
    params(
        ("name" = String, Path, description = "Its name"),
        ("Idempotency-Key" = Option<String>, Header, description = "Names the request; 1 to 255 characters"),
    ),
    responses(
        (status = 202, description = "Its commands are on their way", body = RunDocument, headers(
            ("Location" = String, description = "Where to follow the run"),
            ("Idempotency-Replayed" = String, description = "`true`: the answer is that of the first time"),
        )),
        (status = 404, description = "None of that name", body = super::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "The same request is under way", body = super::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "The `Idempotency-Key` was used for something else", body = super::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn run(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Extension(trace): Extension<RequestTrace>,
    Path(name): Path<String>,
    given: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let principal = caller.may(Scope::Write)?;
    given.finish()?;
    let name = named(&name)?;
    let once = once(&headers, &principal, &[b"scene ", name.as_bytes()])?;
    let entry = api.store.entry(&principal.tenant, Kind::Scene, &name).await?.ok_or_else(Problem::not_found)?;
    // Of a later release: waited out, like the rest of its configuration.
    let scene: Scene = serde_json::from_value(entry.document).map_err(|error| Failure::transient(format!("scene {name}: {error}")))?;
    let running = scene.run(&name, Uuid::now_v7(), &issuing(&principal), |_| Uuid::now_v7(), None);
    ask(&api, &Ask::Scene(running), once.as_ref(), &trace, ("scene_id", "/v1/scene-runs/")).await
}

/// Get a run of a scene: the sum of what became of its commands, and each of them.
#[utoipa::path(
    get, path = "/v1/scene-runs/{scene_id}", tag = "commands", operation_id = "getSceneRun",
    params(("scene_id" = Uuid, Path, description = "As running it answered")),
    responses(
        (status = 200, description = "The run", body = SceneRunDocument),
        (status = 404, description = "No such run", body = super::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn find(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(scene_id): Path<String>,
    given: Parameters,
) -> Result<Json<SceneRunDocument>, Problem> {
    let principal = caller.may(Scope::Read)?;
    given.finish()?;
    let run = api.store.scene_run(&principal.tenant, id_of(&scene_id)?).await?.ok_or_else(Problem::not_found)?;
    Ok(Json(run))
}
