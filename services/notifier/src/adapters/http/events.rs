//! `POST /v1/events`: trouble that others saw, and what people did in their tools.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use events::{Labels, Notification, Severity};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use telemetry::metrics;
use utoipa::ToSchema;

use super::Api;
use super::actions;
use super::auth::Caller;
use super::body;
use super::notifications::versioned;
use super::observe::RequestTrace;
use super::parameters::Parameters;
use super::problem::{Mistake, Problem};
use crate::adapters::db::{Answer, Once, Told};
use crate::adapters::document::{NotificationDocument, SeveritySymbol};
use crate::domain::access::{Principal, Scope};
use crate::domain::command::{Action, Command};
use crate::domain::external::Trigger;

const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Characters of an idempotency key at most.
const LONGEST_KEY: usize = 255;

/// What happened.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "action": "trigger", "dedup_key": "door/hall-2", "severity": "WARNING", "title": "The door of hall 2 is open", "body": "Since 08:15.",
    "device_id": "door-07", "group_id": "hall-2", "labels": { "team": "facility" }, "runbook_url": "https://runbooks.example.com/door", "reason": "sensor"
}))]
pub(super) struct EventBody {
    action: EventAction,
    /// For `trigger` any text: the notification's key is this with `external/` before it. For the others a notification's `dedup_key`, or that text.
    #[schema(min_length = 1, max_length = 256)]
    dedup_key: String,
    /// `WARNING` when not given.
    #[schema(value_type = Option<SeveritySymbol>)]
    #[serde(default)]
    severity: Option<Severity>,
    /// Must be there for `trigger`.
    #[schema(max_length = 512)]
    #[serde(default)]
    title: Option<String>,
    #[schema(max_length = 8192)]
    #[serde(default)]
    body: String,
    #[serde(default)]
    device_id: Option<String>,
    #[serde(default)]
    group_id: Option<String>,
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    #[serde(default)]
    labels: Labels,
    #[schema(format = "uri")]
    #[serde(default)]
    runbook_url: Option<String>,
    /// Stands in the audit log.
    #[schema(max_length = 1000)]
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(rename_all = "lowercase")]
enum EventAction {
    /// Opens a notification, or is folded into the unresolved one of the key.
    Trigger,
    Acknowledge,
    Resolve,
}

/// Tell what happened outside.
///
/// With an `Idempotency-Key` it has its effect once, however often it is sent within a day.
#[utoipa::path(
    post, path = "/v1/events", tag = "notifications", operation_id = "tellEvent", request_body = EventBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "Names the request; 1 to 255 characters")),
    responses(
        (status = 200, description = "The notification as it is now", body = NotificationDocument, headers(
            ("ETag" = String, description = "The version"),
            ("Idempotency-Replayed" = String, description = "`true`: the answer is that of the first time"),
        )),
        (status = 404, description = "Nothing unresolved has this key", body = super::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "The state does not allow it, or the same request is under way", body = super::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "The `Idempotency-Key` was used with another body", body = super::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn tell(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Extension(trace): Extension<RequestTrace>,
    given: Parameters,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Problem> {
    let principal = caller.may(Scope::Write)?;
    given.finish()?;
    let once = once(&headers, &principal, &[&bytes])?;
    let told = told(body::read(&headers, &bytes)?, principal)?;
    let new = |version: Box<Notification>| {
        metrics::counter("fieldwatch_notifications", &[("action", &version.change.action)]).inc();
        versioned(&version)
    };
    let told = api.store.tell(&told, once.as_ref(), &trace.cause(), trace.0, &api.outgoing).await?;
    respond(told, new, |answer| axum::Json(answer).into_response())
}

/// What a request that may come again is answered; the answer of the first time is marked as that.
pub(super) fn respond<T>(
    answer: Answer<T>,
    new: impl FnOnce(T) -> Response,
    again: impl FnOnce(Value) -> Response,
) -> Result<Response, Problem> {
    match answer {
        Answer::New(effect) => Ok(new(effect)),
        Answer::Again(answer) => {
            let mut response = again(answer);
            response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
            Ok(response)
        }
        Answer::OtherBody => Err(Problem::key_reused()),
        Answer::InFlight => Err(Problem::conflict("The same request is being worked on.")),
    }
}

/// The request as it is known again: by its key and by what it asks for.
pub(super) fn once(headers: &HeaderMap, principal: &Principal, asked: &[&[u8]]) -> Result<Option<Once>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| (1..=LONGEST_KEY).contains(&key.len()));
    let key = key.ok_or_else(|| Problem::invalid(vec![Mistake::header("Idempotency-Key", "is not 1 to 255 characters of ASCII")]))?;
    Ok(Some(Once { key_id: principal.key_id, idempotency_key: key.to_owned(), body_hash: Sha256::digest(asked.concat()).to_vec() }))
}

fn told(body: EventBody, principal: Principal) -> Result<Told, Problem> {
    let mut mistakes = Vec::new();
    let mut limit = |pointer: &str, text: &str, longest: usize| {
        if text.chars().count() > longest || text.contains('\0') {
            mistakes.push(Mistake::pointer(pointer, format!("is longer than {longest} characters, or holds NUL")));
        }
    };
    limit("/dedup_key", &body.dedup_key, 256);
    limit("/title", body.title.as_deref().unwrap_or_default(), 512);
    limit("/body", &body.body, 8_192);
    for (pointer, text) in [("/device_id", &body.device_id), ("/group_id", &body.group_id), ("/runbook_url", &body.runbook_url)] {
        limit(pointer, text.as_deref().unwrap_or_default(), 512);
    }
    for (name, value) in &body.labels {
        limit("/labels", name, 128);
        limit("/labels", value, 1_024);
    }
    if body.labels.len() > 64 {
        mistakes.push(Mistake::pointer("/labels", "are more than 64"));
    }
    if body.dedup_key.is_empty() {
        mistakes.push(Mistake::pointer("/dedup_key", "is empty"));
    }
    if body.action == EventAction::Trigger && body.title.as_deref().unwrap_or_default().is_empty() {
        mistakes.push(Mistake::pointer("/title", "is missing"));
    }
    if body.severity == Some(Severity::Unknown) {
        mistakes.push(Mistake::pointer("/severity", "is not one of INFO, WARNING, CRITICAL"));
    }
    if !mistakes.is_empty() {
        return Err(Problem::invalid(mistakes));
    }
    let reason = actions::reason(body.reason)?;
    let (tenant, by, dedup_key) = (principal.tenant, principal.name, body.dedup_key);
    let command = |action| Command { action, by: by.clone(), reason: reason.clone(), expected_version: None };
    Ok(match body.action {
        EventAction::Acknowledge => Told::Command { tenant, dedup_key, command: command(Action::Acknowledge) },
        EventAction::Resolve => Told::Command { tenant, dedup_key, command: command(Action::Resolve) },
        EventAction::Trigger => Told::Trigger(Trigger {
            tenant,
            dedup_key,
            severity: body.severity.unwrap_or(Severity::Warning),
            title: body.title.unwrap_or_default(),
            body: body.body,
            device_id: body.device_id,
            group_id: body.group_id,
            labels: body.labels,
            runbook_url: body.runbook_url,
            by,
            reason,
        }),
    })
}
