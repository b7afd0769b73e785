//! Reading notifications.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use events::{Notification, Timestamp};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::Api;
use super::auth::Caller;
use super::parameters::Parameters;
use super::problem::{Mistake, Problem};
use crate::adapters::document::{CountsDocument, EventDocument, NotificationDocument};
use crate::adapters::examples;
use crate::adapters::signer::{Forged, Signer};
use crate::domain::access::Scope;

/// A page of notifications, latest first.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "data": [examples::notification()], "next_cursor": examples::CURSOR }))]
pub(super) struct NotificationPage {
    data: Vec<NotificationDocument>,
    /// Gives the next page, with the same filters; null on the last one.
    next_cursor: Option<String>,
}

/// A page of an audit log, oldest first.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "data": [examples::event()], "next_cursor": examples::CURSOR }))]
pub(super) struct EventPage {
    data: Vec<EventDocument>,
    /// Gives the next page; null on the last one.
    next_cursor: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documents what Parameters::filter reads")]
pub(super) struct ListParameters {
    /// May be repeated.
    #[param(inline, value_type = Option<Vec<ListedState>>, style = Form, explode)]
    state: (),
    /// May be repeated.
    #[param(inline, value_type = Option<Vec<ListedSeverity>>, style = Form, explode)]
    severity: (),
    /// May be repeated: alert, anomaly, sensor-health, device-offline, pipeline, external, command.
    #[param(style = Form, explode)]
    kind: Option<Vec<String>>,
    /// May be repeated.
    #[param(style = Form, explode)]
    device_id: Option<Vec<String>>,
    /// May be repeated.
    #[param(style = Form, explode)]
    group_id: Option<Vec<String>>,
    /// `name=value`; may be repeated, and all must hold.
    #[param(style = Form, explode, pattern = "^[^=]*=.*$")]
    label: Option<Vec<String>>,
    /// Changed (`updated_at`) at or after.
    #[param(value_type = Option<String>, format = DateTime)]
    since: (),
    /// Changed (`updated_at`) before.
    #[param(value_type = Option<String>, format = DateTime)]
    until: (),
    /// Part of title, body or device, whatever its case.
    q: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Notifications on a page; 50 when not given.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
}

/// A state to list.
#[derive(ToSchema)]
#[schema(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(dead_code, reason = "documents what Parameters::filter reads")]
pub(super) enum ListedState {
    Open,
    Acknowledged,
    Snoozed,
    Resolved,
}

/// A severity to list.
#[derive(ToSchema)]
#[schema(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(dead_code, reason = "documents what Parameters::filter reads")]
pub(super) enum ListedSeverity {
    Info,
    Warning,
    Critical,
}

/// List notifications, by `opened_at` and id, latest first.
#[utoipa::path(
    get, path = "/v1/notifications", tag = "notifications", operation_id = "listNotifications", params(ListParameters),
    responses((status = 200, description = "A page", body = NotificationPage)),
)]
pub(super) async fn list(State(api): State<Arc<Api>>, caller: Caller, mut given: Parameters) -> Result<Json<NotificationPage>, Problem> {
    let principal = caller.may(Scope::Read)?;
    let context = format!("notifications of {} by {}", principal.tenant, given.fingerprint(&["cursor", "limit"]));
    let filter = given.filter();
    let limit = given.limit();
    let cursor = given.one("cursor");
    given.finish()?;
    let after = cursor.map(|cursor| read_cursor(&api.signer, &context, &cursor)).transpose()?;
    let listed = api.store.list(&principal.tenant, &filter, after, limit).await?;
    Ok(Json(NotificationPage {
        data: listed.notifications.iter().map(NotificationDocument::from).collect(),
        next_cursor: listed.next.map(|after| write_cursor(&api.signer, &context, after)),
    }))
}

/// Count notifications by state and severity.
#[utoipa::path(
    get, path = "/v1/notifications/counts", tag = "notifications", operation_id = "countNotifications",
    params(("If-None-Match" = Option<String>, Header, description = "`ETag` of the counts that are known")),
    responses(
        (status = 200, description = "Counts", body = CountsDocument, headers(("ETag" = String, description = "Changes with the counts"))),
        (status = 304, description = "As known"),
    ),
)]
pub(super) async fn counts(
    State(api): State<Arc<Api>>,
    caller: Caller,
    given: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let principal = caller.may(Scope::Read)?;
    given.finish()?;
    let counts = api.store.counts(&principal.tenant).await?;
    let text = serde_json::to_vec(&counts).unwrap_or_default();
    let tag = URL_SAFE_NO_PAD.encode(&Sha256::digest(&text)[..12]);
    Ok(tagged(&headers, &tag, counts))
}

/// Get one notification.
#[utoipa::path(
    get, path = "/v1/notifications/{id}", tag = "notifications", operation_id = "getNotification",
    params(
        ("id" = Uuid, Path, description = "`notification_id`"),
        ("If-None-Match" = Option<String>, Header, description = "`ETag` of the version that is known"),
    ),
    responses(
        (status = 200, description = "The notification", body = NotificationDocument, headers(("ETag" = String, description = "The version"))),
        (status = 304, description = "As known"),
        (status = 404, description = "No such notification", body = super::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn find(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    given: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let principal = caller.may(Scope::Read)?;
    given.finish()?;
    let notification = api.store.find(&principal.tenant, id_of(&id)?).await?.ok_or_else(Problem::not_found)?;
    Ok(tagged(&headers, &notification.version.to_string(), NotificationDocument::from(&notification)))
}

/// Get a notification's audit log: who did what, when and why.
#[utoipa::path(
    get, path = "/v1/notifications/{id}/events", tag = "notifications", operation_id = "listNotificationEvents",
    params(
        ("id" = Uuid, Path, description = "`notification_id`"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("limit" = Option<u32>, Query, description = "Versions on a page; 50 when not given", minimum = 1, maximum = 200),
    ),
    responses(
        (status = 200, description = "A page of versions, oldest first", body = EventPage),
        (status = 404, description = "No such notification", body = super::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn events(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    mut given: Parameters,
) -> Result<Json<EventPage>, Problem> {
    let principal = caller.may(Scope::Read)?;
    let limit = given.limit();
    let cursor = given.one("cursor");
    given.finish()?;
    let id = id_of(&id)?;
    let context = format!("events of {id}");
    let after = cursor.map(|cursor| api.signer.open(&context, &cursor).and_then(|bytes| number(&bytes))).transpose().map_err(bad_cursor)?;
    api.store.find(&principal.tenant, id).await?.ok_or_else(Problem::not_found)?;
    let mut data = api.store.audit(id, after.unwrap_or(0), limit as i64 + 1).await?;
    let more = data.len() > limit;
    data.truncate(limit);
    let last = data.last().filter(|_| more).map(|last| last.version);
    Ok(Json(EventPage { data, next_cursor: last.map(|version| api.signer.sign(&context, &version.to_be_bytes())) }))
}

/// An id that cannot be one names nothing.
pub(super) fn id_of(text: &str) -> Result<Uuid, Problem> {
    text.parse().map_err(|_| Problem::not_found())
}

/// The notification with its version as entity tag.
pub(super) fn versioned(notification: &Notification) -> Response {
    tagged(&HeaderMap::new(), &notification.version.to_string(), NotificationDocument::from(notification))
}

pub(super) fn tagged(asked: &HeaderMap, tag: &str, document: impl Serialize) -> Response {
    let tag = format!("\"{tag}\"");
    let known = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut known = known.flat_map(|value| value.split(',')).map(|value| value.trim().trim_start_matches("W/"));
    let mut response = if known.any(|known| known == tag || known == "*") {
        axum::http::StatusCode::NOT_MODIFIED.into_response()
    } else {
        Json(document).into_response()
    };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// A place in a list in order of time and id.
pub(super) fn write_cursor(signer: &Signer, context: &str, (at, id): (Timestamp, Uuid)) -> String {
    let mut payload = at.as_micros().to_be_bytes().to_vec();
    payload.extend_from_slice(id.as_bytes());
    signer.sign(context, &payload)
}

pub(super) fn read_cursor(signer: &Signer, context: &str, cursor: &str) -> Result<(Timestamp, Uuid), Problem> {
    let payload = signer.open(context, cursor).map_err(bad_cursor)?;
    let (at, id) = payload.split_at_checked(8).ok_or(Forged).map_err(bad_cursor)?;
    let at = Timestamp::from_micros(number(at).map_err(bad_cursor)?);
    let id = Uuid::from_slice(id).map_err(|_| bad_cursor(Forged))?;
    Ok((at, id))
}

pub(super) fn number(bytes: &[u8]) -> Result<i64, Forged> {
    bytes.try_into().map(i64::from_be_bytes).map_err(|_| Forged)
}

pub(super) fn bad_cursor(_: Forged) -> Problem {
    Problem::invalid(vec![Mistake::parameter("cursor", "is not a next_cursor of this list with these filters")])
}
