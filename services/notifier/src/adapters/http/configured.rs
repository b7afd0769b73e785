//! Configuration: named entries that are read, put and deleted, each change checked against all the rest.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde_json::{Map, Value};

use super::Api;
use super::actions::expected_version;
use super::auth::Caller;
use super::body::OptionalJson;
use super::notifications::tagged;
use super::parameters::Parameters;
use super::problem::{Mistake, Problem};
use super::schemas;
use crate::adapters::db::{Edit, Entry, Kind, NotConfigured, Reseal};
use crate::adapters::document::Rfc3339;
use crate::domain::access::{Principal, Scope};
use crate::domain::configuration::is_name;

/// Fields of an answer that are not the entry's own: a document that was read can be put back.
const ABOUT: [&str; 4] = ["name", "version", "updated_at", "updated_by"];

/// An entry as it is answered.
#[derive(Serialize)]
pub(super) struct EntryDocument {
    name: String,
    version: i64,
    updated_at: Rfc3339,
    updated_by: String,
    #[serde(flatten)]
    document: Value,
}

impl From<Entry> for EntryDocument {
    fn from(entry: Entry) -> Self {
        Self {
            name: entry.name,
            version: entry.version,
            updated_at: Rfc3339(entry.updated_at),
            updated_by: entry.updated_by,
            document: entry.document,
        }
    }
}

#[derive(Serialize)]
pub(super) struct EntryList {
    data: Vec<EntryDocument>,
}

pub(super) async fn list(api: &Api, caller: Caller, given: Parameters, kind: Kind) -> Result<Json<EntryList>, Problem> {
    let principal = caller.may(Scope::Read)?;
    given.finish()?;
    let entries = api.store.entries(&principal.tenant, kind).await?;
    Ok(Json(EntryList { data: entries.into_iter().map(EntryDocument::from).collect() }))
}

pub(super) async fn find(
    api: &Api,
    caller: Caller,
    given: Parameters,
    headers: &HeaderMap,
    kind: Kind,
    name: &str,
) -> Result<Response, Problem> {
    let principal = caller.may(Scope::Read)?;
    given.finish()?;
    let entry = api.store.entry(&principal.tenant, kind, &named(name)?).await?.ok_or_else(Problem::not_found)?;
    Ok(answer(headers, entry))
}

pub(super) async fn put(
    api: &Api,
    principal: &Principal,
    headers: &HeaderMap,
    (kind, name): (Kind, &str),
    body: Map<String, Value>,
) -> Result<Response, Problem> {
    let (entry, new) = keep(api, principal, headers, (kind, name), Value::Object(body), None).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, answer(&HeaderMap::new(), entry)).into_response())
}

/// Keeps an entry; with what is sealed for it.
pub(super) async fn keep(
    api: &Api,
    principal: &Principal,
    headers: &HeaderMap,
    (kind, name): (Kind, &str),
    document: Value,
    secret: Option<Reseal>,
) -> Result<(Entry, bool), Problem> {
    if !is_name(name) {
        return Err(Problem::invalid(vec![Mistake::parameter("name", "is not 1 to 64 letters, digits, `-`, `_` or `.`")]));
    }
    let document = normal(kind, document)?;
    let expected = expected(headers)?;
    let edit = Edit { tenant: &principal.tenant, kind, name, document: Some(document), expected, by: &principal.name };
    let kept = api.store.configure(&edit, secret).await.map_err(|refused| refusal(refused, kind, name, StatusCode::BAD_REQUEST))?;
    kept.ok_or_else(Problem::not_found)
}

pub(super) async fn delete(api: &Api, principal: &Principal, headers: &HeaderMap, kind: Kind, name: &str) -> Result<StatusCode, Problem> {
    let expected = expected(headers)?;
    let name = named(name)?;
    let edit = Edit { tenant: &principal.tenant, kind, name: &name, document: None, expected, by: &principal.name };
    api.store.configure(&edit, None).await.map_err(|refused| refusal(refused, kind, &name, StatusCode::CONFLICT))?;
    Ok(StatusCode::NO_CONTENT)
}

/// A name that none can have names nothing.
pub(super) fn named(name: &str) -> Result<String, Problem> {
    if is_name(name) { Ok(name.to_owned()) } else { Err(Problem::not_found()) }
}

/// The document as it is kept: read, so that whatever is unknown or missing is told, and written again.
fn normal(kind: Kind, document: Value) -> Result<Value, Problem> {
    use crate::domain::{
        email::Email, escalation::Escalation, mute_time::MuteTime, receiver::Receiver, routing::Route, scene::Scene, silence::Silence,
        webhook::Webhook,
    };
    fn through<T: serde::de::DeserializeOwned + Serialize>(document: Value) -> Result<Value, serde_json::Error> {
        serde_json::from_value::<T>(document).and_then(serde_json::to_value)
    }
    let Value::Object(mut fields) = document else { return Err(Problem::invalid(vec![Mistake::pointer("", "is not an object")])) };
    fields.retain(|name, _| !ABOUT.contains(&name.as_str()));
    if holds_nul(&fields) {
        return Err(Problem::invalid(vec![Mistake::pointer("", "holds the character NUL")]));
    }
    let document = Value::Object(fields);
    let normal = match kind {
        Kind::Receiver => through::<Receiver>(document),
        Kind::Route => through::<Route>(document),
        Kind::Silence => through::<Silence>(document),
        Kind::Escalation => through::<Escalation>(document),
        Kind::MuteTime => through::<MuteTime>(document),
        Kind::Webhook => through::<Webhook>(document),
        Kind::Email => through::<Email>(document),
        Kind::Scene => through::<Scene>(document),
    };
    normal.map_err(|error| Problem::invalid(vec![Mistake::pointer("", error.to_string())]))
}

fn holds_nul(fields: &Map<String, Value>) -> bool {
    let text = serde_json::to_string(fields).unwrap_or_default();
    text.contains("\\u0000")
}

/// `If-Match` names the version there must be; `If-None-Match: *` says that there must be none.
fn expected(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    if headers.get(header::IF_NONE_MATCH).is_some_and(|value| value == "*") {
        return Ok(Some(0));
    }
    expected_version(headers)
}

fn refusal(refused: NotConfigured, kind: Kind, name: &str, when_wrong: StatusCode) -> Problem {
    let detail = refused.to_string();
    match refused {
        NotConfigured::Missing => Problem::not_found(),
        NotConfigured::Stale { .. } => Problem::stale(&detail),
        NotConfigured::SecretChanged(_) => Problem::conflict(&detail),
        NotConfigured::Failed(failure) => failure.into(),
        NotConfigured::Wrong(mistakes) => {
            let prefix = if kind == Kind::Route { format!("/{}", kind.as_str()) } else { format!("/{}/{name}", kind.as_str()) };
            let within =
                |pointer: &str| pointer.strip_prefix(&prefix).filter(|rest| rest.is_empty() || rest.starts_with('/')).map(str::to_owned);
            let mistake = |mistake: crate::domain::configuration::Mistake| match within(&mistake.pointer) {
                Some(pointer) => Mistake::pointer(&pointer, mistake.problem),
                None => Mistake::pointer("", format!("{}: {}", mistake.pointer, mistake.problem)),
            };
            let mistakes = mistakes.into_iter().map(mistake).collect();
            if when_wrong == StatusCode::CONFLICT { Problem::in_use(mistakes) } else { Problem::invalid(mistakes) }
        }
    }
}

pub(super) fn answer(headers: &HeaderMap, entry: Entry) -> Response {
    let version = entry.version.to_string();
    tagged(headers, &version, EntryDocument::from(entry))
}

macro_rules! entries {
    ($module:ident, $path:literal, $one:literal, $what:literal, $kind:expr, $scope:expr, $body:ty, $entry:ty, $page:ty,
     $list:literal, $get:literal, $put:literal, $delete:literal) => {
        pub(super) mod $module {
            use super::*;

            #[doc = concat!("List ", $what, "s.")]
            #[utoipa::path(
                get, path = $path, tag = "configuration", operation_id = $list,
                responses((status = 200, description = "All of them, by name", body = $page)),
            )]
            pub(in crate::adapters::http) async fn list(
                State(api): State<Arc<Api>>,
                caller: Caller,
                given: Parameters,
            ) -> Result<Json<EntryList>, Problem> {
                super::list(&api, caller, given, $kind).await
            }

            #[doc = concat!("Get a ", $what, ".")]
            #[utoipa::path(
                get, path = $one, tag = "configuration", operation_id = $get,
                params(
                    ("name" = String, Path, description = "Its name"),
                    ("If-None-Match" = Option<String>, Header, description = "`ETag` of the version that is known"),
                ),
                responses(
                    (status = 200, description = "The entry", body = $entry, headers(("ETag" = String, description = "The version"))),
                    (status = 304, description = "As known"),
                    (status = 404, description = "None of that name", body = super::super::problem::ProblemDocument, content_type = "application/problem+json"),
                ),
            )]
            pub(in crate::adapters::http) async fn find(
                State(api): State<Arc<Api>>,
                caller: Caller,
                Path(name): Path<String>,
                given: Parameters,
                headers: HeaderMap,
            ) -> Result<Response, Problem> {
                super::find(&api, caller, given, &headers, $kind, &name).await
            }

            #[doc = concat!("Make or replace a ", $what, ".")]
            #[utoipa::path(
                put, path = $one, tag = "configuration", operation_id = $put, request_body = $body,
                params(
                    ("name" = String, Path, description = "1 to 64 letters, digits, `-`, `_` or `.`"),
                    ("If-Match" = Option<String>, Header, description = "The version it must have"),
                    ("If-None-Match" = Option<String>, Header, description = "`*`: there must be none"),
                ),
                responses(
                    (status = 200, description = "Replaced", body = $entry, headers(("ETag" = String, description = "The version"))),
                    (status = 201, description = "Made", body = $entry, headers(("ETag" = String, description = "The version"))),
                    (status = 412, description = "It has another version", body = super::super::problem::ProblemDocument, content_type = "application/problem+json"),
                ),
            )]
            pub(in crate::adapters::http) async fn put(
                State(api): State<Arc<Api>>,
                caller: Caller,
                Path(name): Path<String>,
                given: Parameters,
                headers: HeaderMap,
                OptionalJson(body): OptionalJson<Map<String, Value>>,
            ) -> Result<Response, Problem> {
                let principal = caller.may($scope)?;
                given.finish()?;
                super::put(&api, &principal, &headers, ($kind, &name), body).await
            }

            #[doc = concat!("Delete a ", $what, ".")]
            #[utoipa::path(
                delete, path = $one, tag = "configuration", operation_id = $delete,
                params(
                    ("name" = String, Path, description = "Its name"),
                    ("If-Match" = Option<String>, Header, description = "The version it must have"),
                ),
                responses(
                    (status = 204, description = "Gone"),
                    (status = 404, description = "None of that name", body = super::super::problem::ProblemDocument, content_type = "application/problem+json"),
                    (status = 409, description = "Something else needs it", body = super::super::problem::ProblemDocument, content_type = "application/problem+json"),
                    (status = 412, description = "It has another version", body = super::super::problem::ProblemDocument, content_type = "application/problem+json"),
                ),
            )]
            pub(in crate::adapters::http) async fn delete(
                State(api): State<Arc<Api>>,
                caller: Caller,
                Path(name): Path<String>,
                given: Parameters,
                headers: HeaderMap,
            ) -> Result<StatusCode, Problem> {
                let principal = caller.may($scope)?;
                given.finish()?;
                super::delete(&api, &principal, &headers, $kind, &name).await
            }
        }
    };
}

entries!(
    receivers,
    "/v1/receivers",
    "/v1/receivers/{name}",
    "receiver",
    Kind::Receiver,
    Scope::Admin,
    schemas::Receiver,
    schemas::ReceiverEntry,
    schemas::ReceiverPage,
    "listReceivers",
    "getReceiver",
    "putReceiver",
    "deleteReceiver"
);
entries!(
    silences,
    "/v1/silences",
    "/v1/silences/{name}",
    "silence",
    Kind::Silence,
    Scope::Write,
    schemas::Silence,
    schemas::SilenceEntry,
    schemas::SilencePage,
    "listSilences",
    "getSilence",
    "putSilence",
    "deleteSilence"
);
entries!(
    escalations,
    "/v1/escalations",
    "/v1/escalations/{name}",
    "escalation",
    Kind::Escalation,
    Scope::Admin,
    schemas::Escalation,
    schemas::EscalationEntry,
    schemas::EscalationPage,
    "listEscalations",
    "getEscalation",
    "putEscalation",
    "deleteEscalation"
);
entries!(
    mute_times,
    "/v1/mute-times",
    "/v1/mute-times/{name}",
    "mute time",
    Kind::MuteTime,
    Scope::Admin,
    schemas::MuteTime,
    schemas::MuteTimeEntry,
    schemas::MuteTimePage,
    "listMuteTimes",
    "getMuteTime",
    "putMuteTime",
    "deleteMuteTime"
);
entries!(
    scenes,
    "/v1/scenes",
    "/v1/scenes/{name}",
    "scene",
    Kind::Scene,
    Scope::Admin,
    schemas::Scene,
    schemas::SceneEntry,
    schemas::ScenePage,
    "listScenes",
    "getScene",
    "putScene",
    "deleteScene"
);
