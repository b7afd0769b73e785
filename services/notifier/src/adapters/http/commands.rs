//! Commands to devices: issued, and followed.

use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use events::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use telemetry::metrics;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::Api;
use super::auth::Caller;
use super::body;
use super::events::{once, respond};
use super::notifications::{id_of, read_cursor, write_cursor};
use super::observe::RequestTrace;
use super::parameters::Parameters;
use super::problem::{Mistake, Problem};
use super::schemas;
use crate::adapters::command_document::{CommandDocument, CommandStateSymbol};
use crate::adapters::db::{Ask, CommandFilter, Once};
use crate::adapters::examples;
use crate::domain::access::{Principal, Scope};
use crate::domain::course::CommandState;
use crate::domain::instruction::{GOOD_FOR, Instruction, Issuing};
use crate::domain::symbol;

/// A page of commands, latest first.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "data": [examples::issued()], "next_cursor": examples::CURSOR }))]
pub(super) struct CommandPage {
    data: Vec<CommandDocument>,
    /// Gives the next page, with the same filters; null on the last one.
    next_cursor: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documents what is read one by one")]
pub(super) struct ListParameters {
    /// May be repeated.
    #[param(style = Form, explode)]
    device_id: Option<Vec<String>>,
    /// May be repeated.
    #[param(inline, value_type = Option<Vec<CommandStateSymbol>>, style = Form, explode)]
    state: (),
    /// Those of one run of a scene.
    scene_id: Option<Uuid>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Commands on a page; 50 when not given.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
}

/// Tell a device what to do.
///
/// That it was issued says nothing yet of what becomes of it: follow it by its id, or by `command` on the stream of
/// notifications. With an `Idempotency-Key` it is issued once, however often it is sent within a day.
#[utoipa::path(
    post, path = "/v1/commands", tag = "commands", operation_id = "issueCommand", request_body = schemas::Instruction,
    params(("Idempotency-Key" = Option<String>, Header, description = "Names the request; 1 to 255 characters")),
    responses(
        (status = 202, description = "It is on its way", body = CommandDocument, headers(
            ("Location" = String, description = "Where to follow it"),
            ("Idempotency-Replayed" = String, description = "`true`: the answer is that of the first time"),
        )),
        (status = 409, description = "The same request is under way", body = super::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "The `Idempotency-Key` was used with another body", body = super::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn issue(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Extension(trace): Extension<RequestTrace>,
    given: Parameters,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Problem> {
    let principal = caller.may(Scope::Write)?;
    given.finish()?;
    let once = once(&headers, &principal, &[b"command ", &bytes])?;
    let fields: Map<String, Value> = body::read(&headers, &bytes)?;
    let read = serde_json::from_value::<Instruction>(Value::Object(fields));
    let instruction = read.map_err(|error| Problem::invalid(vec![Mistake::pointer("", error.to_string())]))?;
    let mut mistakes: Vec<Mistake> =
        instruction.mistakes().into_iter().map(|(pointer, problem)| Mistake::pointer(&pointer, problem)).collect();
    if instruction.device_id.is_none() {
        mistakes.push(Mistake::pointer("/device_id", "is missing"));
    }
    let Some(device_id) = instruction.device_id.as_deref().filter(|_| mistakes.is_empty()) else {
        return Err(Problem::invalid(mistakes));
    };
    let command = instruction.command(Uuid::now_v7(), device_id, GOOD_FOR, &issuing(&principal));
    ask(&api, &Ask::Command(command), once.as_ref(), &trace, ("command_id", "/v1/commands/")).await
}

/// Who issues what, from now on.
pub(super) fn issuing(principal: &Principal) -> Issuing {
    Issuing { tenant: principal.tenant.clone(), by: principal.name.clone(), at: Timestamp::from(SystemTime::now()), scene_id: None }
}

/// Issues it; the answer's `Location` is `below` with what the answer calls `id`.
pub(super) async fn ask(
    api: &Api,
    ask: &Ask,
    once: Option<&Once>,
    trace: &RequestTrace,
    (id, below): (&str, &str),
) -> Result<Response, Problem> {
    let accepted = |answer: Value| {
        let location = answer.get(id).and_then(Value::as_str).and_then(|id| HeaderValue::try_from(format!("{below}{id}")).ok());
        let mut response = (StatusCode::ACCEPTED, Json(answer)).into_response();
        response.headers_mut().extend(location.map(|location| (header::LOCATION, location)));
        response
    };
    let issued = |answer| {
        let count = match ask {
            Ask::Command(_) => 1,
            Ask::Scene(running) => running.commands.len(),
        };
        metrics::counter("fieldwatch_commands_issued", &[("by", "api")]).inc_by(count as u64);
        accepted(answer)
    };
    respond(api.store.ask(ask, once, trace.0.as_ref(), &api.outgoing).await?, issued, accepted)
}

/// List commands, by `issued_at` and id, latest first.
#[utoipa::path(
    get, path = "/v1/commands", tag = "commands", operation_id = "listCommands", params(ListParameters),
    responses((status = 200, description = "A page", body = CommandPage)),
)]
pub(super) async fn list(State(api): State<Arc<Api>>, caller: Caller, mut given: Parameters) -> Result<Json<CommandPage>, Problem> {
    let principal = caller.may(Scope::Read)?;
    let context = format!("commands of {} by {}", principal.tenant, given.fingerprint(&["cursor", "limit"]));
    let of = |text: &str| CommandState::ALL.into_iter().find(|state| symbol(state) == text);
    let filter = CommandFilter {
        device_ids: given.many("device_id"),
        states: given.many_as("state", "one of PENDING, ACCEPTED, VERIFIED, FAILED, TIMED_OUT, REFUSED", of),
        scene_id: given.one_as("scene_id", "the id of a run of a scene", |text| text.parse().ok()),
    };
    let limit = given.limit();
    let cursor = given.one("cursor");
    given.finish()?;
    let after = cursor.map(|cursor| read_cursor(&api.signer, &context, &cursor)).transpose()?;
    let mut data = api.store.device_commands(&principal.tenant, &filter, after, limit as i64 + 1).await?;
    let more = data.len() > limit;
    data.truncate(limit);
    let place = data.last().filter(|_| more).map(|last| (last.issued_at.0, last.command_id));
    Ok(Json(CommandPage { data, next_cursor: place.map(|place| write_cursor(&api.signer, &context, place)) }))
}

/// Get a command with its history: every result there was.
#[utoipa::path(
    get, path = "/v1/commands/{id}", tag = "commands", operation_id = "getCommand",
    params(("id" = Uuid, Path, description = "`command_id`")),
    responses(
        (status = 200, description = "The command", body = CommandDocument),
        (status = 404, description = "No such command", body = super::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn find(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    given: Parameters,
) -> Result<Json<CommandDocument>, Problem> {
    let principal = caller.may(Scope::Read)?;
    given.finish()?;
    let command = api.store.device_command(&principal.tenant, id_of(&id)?).await?.ok_or_else(Problem::not_found)?;
    Ok(Json(command))
}
