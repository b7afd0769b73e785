//! Changing notifications.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use events::{Notification, Timestamp};
use serde::Deserialize;
use telemetry::metrics;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Api;
use super::auth::Caller;
use super::body::OptionalJson;
use super::notifications::{id_of, versioned};
use super::observe::RequestTrace;
use super::problem::{Mistake, Problem};
use crate::adapters::db::NotChanged;
use crate::adapters::document::NotificationDocument;
use crate::domain::access::Scope;
use crate::domain::command::{Action, Command};

/// Characters of a reason at most.
const LONGEST_REASON: usize = 1_000;

/// Why a notification is changed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "reason": "door was open, closed now" }))]
pub(super) struct ActionBody {
    /// Stands in the audit log.
    #[schema(max_length = 1000)]
    #[serde(default)]
    reason: Option<String>,
}

/// Until when, and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "until": "2099-01-31T08:15:30Z", "reason": "the technician comes tomorrow" }))]
pub(super) struct SnoozeBody {
    /// In the future.
    #[schema(value_type = String, format = DateTime)]
    #[serde(default)]
    until: Option<String>,
    /// Stands in the audit log.
    #[schema(max_length = 1000)]
    #[serde(default)]
    reason: Option<String>,
}

/// What every action is asked with.
type Asked = (State<Arc<Api>>, Caller, Extension<RequestTrace>, Path<String>, HeaderMap, Option<String>);

macro_rules! action {
    ($(#[doc = $summary:literal])* $name:ident, $path:literal, $operation:literal, $action:expr) => {
        $(#[doc = $summary])*
        #[utoipa::path(
            post, path = $path, tag = "notifications", operation_id = $operation, request_body(content = Option<ActionBody>),
            params(
                ("id" = Uuid, Path, description = "`notification_id`"),
                ("If-Match" = Option<String>, Header, description = "The version this is meant for, e.g. \"3\"; without it, any"),
            ),
            responses(
                (status = 200, description = "The notification as it is now", body = NotificationDocument, headers(("ETag" = String, description = "The version"))),
                (status = 404, description = "No such notification", body = super::problem::ProblemDocument, content_type = "application/problem+json"),
                (status = 409, description = "The state does not allow it", body = super::problem::ProblemDocument, content_type = "application/problem+json"),
                (status = 412, description = "`If-Match` names another version", body = super::problem::ProblemDocument, content_type = "application/problem+json"),
            ),
        )]
        pub(super) async fn $name(
            state: State<Arc<Api>>,
            caller: Caller,
            trace: Extension<RequestTrace>,
            id: Path<String>,
            headers: HeaderMap,
            body: OptionalJson<ActionBody>,
        ) -> Result<Response, Problem> {
            carry_out($action, (state, caller, trace, id, headers, body.0.reason)).await
        }
    };
}

action!(
    /// Acknowledge: someone is on it.
    acknowledge, "/v1/notifications/{id}/acknowledge", "acknowledgeNotification", Action::Acknowledge
);
action!(
    /// Take an acknowledgement back.
    unacknowledge, "/v1/notifications/{id}/unacknowledge", "unacknowledgeNotification", Action::Unacknowledge
);
action!(
    /// End a snooze early.
    unsnooze, "/v1/notifications/{id}/unsnooze", "unsnoozeNotification", Action::Unsnooze
);
action!(
    /// Resolve by hand.
    resolve, "/v1/notifications/{id}/resolve", "resolveNotification", Action::Resolve
);
action!(
    /// Open again what was resolved.
    reopen, "/v1/notifications/{id}/reopen", "reopenNotification", Action::Reopen
);

/// Keep a notification quiet until a time.
///
/// When that comes while the trouble goes on, it is `OPEN` again and tells so; a rise in severity ends the snooze.
#[utoipa::path(
    post, path = "/v1/notifications/{id}/snooze", tag = "notifications", operation_id = "snoozeNotification", request_body = SnoozeBody,
    params(
        ("id" = Uuid, Path, description = "`notification_id`"),
        ("If-Match" = Option<String>, Header, description = "The version this is meant for, e.g. \"3\"; without it, any"),
    ),
    responses(
        (status = 200, description = "The notification as it is now", body = NotificationDocument, headers(("ETag" = String, description = "The version"))),
        (status = 404, description = "No such notification", body = super::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "The state does not allow it", body = super::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 412, description = "`If-Match` names another version", body = super::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn snooze(
    state: State<Arc<Api>>,
    caller: Caller,
    trace: Extension<RequestTrace>,
    id: Path<String>,
    headers: HeaderMap,
    OptionalJson(body): OptionalJson<SnoozeBody>,
) -> Result<Response, Problem> {
    let action = Action::Snooze { until: until(body.until.as_deref(), "/until")? };
    carry_out(action, (state, caller, trace, id, headers, body.reason)).await
}

async fn carry_out(action: Action, asked: Asked) -> Result<Response, Problem> {
    let (State(api), caller, Extension(trace), Path(id), headers, given) = asked;
    let principal = caller.may(Scope::Write)?;
    let expected_version = expected_version(&headers)?;
    let command = Command { action, by: principal.name, reason: reason(given)?, expected_version };
    let version = change(&api, &principal.tenant, id_of(&id)?, &command, trace).await?;
    Ok(versioned(&version))
}

/// Carries out a command of a request.
pub(super) async fn change(api: &Api, tenant: &str, id: Uuid, command: &Command, trace: RequestTrace) -> Result<Notification, NotChanged> {
    let version = api.store.change(tenant, id, command, &trace.cause(), trace.0, &api.outgoing).await?;
    metrics::counter("fieldwatch_notifications", &[("action", command.action.past())]).inc();
    Ok(version)
}

/// The time a snooze ends, which must be there.
pub(super) fn until(text: Option<&str>, pointer: &str) -> Result<Timestamp, Problem> {
    let wrong = || Problem::invalid(vec![Mistake::pointer(pointer, "is not a time like 2026-01-31T08:15:30Z")]);
    text.and_then(Timestamp::from_rfc3339).filter(|at| at.as_micros() >= 0).ok_or_else(wrong)
}

pub(super) fn reason(given: Option<String>) -> Result<Option<String>, Problem> {
    let reason = given.filter(|reason| !reason.is_empty());
    let problem = match &reason {
        Some(reason) if reason.chars().count() > LONGEST_REASON => format!("is longer than {LONGEST_REASON} characters"),
        Some(reason) if reason.contains('\0') => "holds the character NUL".to_owned(),
        _ => return Ok(reason),
    };
    Err(Problem::invalid(vec![Mistake::pointer("/reason", problem)]))
}

/// The version `If-Match` names, bare or as an entity tag; `*` is any.
pub(super) fn expected_version(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let bare = text.trim_start_matches("W/").trim_matches('"');
    let version = bare.parse().ok().filter(|version: &i64| *version > 0);
    version.map(Some).ok_or_else(|| Problem::invalid(vec![Mistake::header("If-Match", "is not a version like \"3\"")]))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_version_is_read_bare_or_as_an_entity_tag() {
        let read = |text: &'static str| expected_version(&HeaderMap::from_iter([(header::IF_MATCH, HeaderValue::from_static(text))]));
        for text in ["3", "\"3\"", "W/\"3\"", " 3 "] {
            assert_eq!(read(text).unwrap(), Some(3), "{text}");
        }
        assert_eq!(read("*").unwrap(), None);
        for text in ["", "three", "0", "-1", "\"3\", \"4\""] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
