//! E-mails: addresses that deliveries are mailed to, and how the mail server takes them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::Api;
use super::auth::Caller;
use super::body::OptionalJson;
use super::configured::{self, EntryDocument, named};
use super::deliveries::{DeliveryPage, DeliveryStatus};
use super::notifications::tagged;
use super::parameters::Parameters;
use super::problem::Problem;
use super::schemas;
use super::webhooks::BreakerName;
use crate::adapters::db::{Endpoint, Entry, Kind};
use crate::adapters::payload::{DeliveryDocument, DeliveryType};
use crate::domain::access::{Principal, Scope};
use crate::domain::email::Email;

/// Addresses, and how the mail server takes what is for them.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "name": "on-call", "version": 1, "updated_at": "2026-01-31T08:15:30.000250Z", "updated_by": "admin",
    "to": ["on-call@example.com"], "description": "whoever is on call", "concurrency": 2, "rate_per_second": 10.0, "breaker": "closed"
}))]
pub(super) struct EmailEntry {
    #[serde(flatten)]
    #[schema(value_type = schemas::EmailFields)]
    entry: EntryDocument,
    /// `open`: the server keeps failing and is left alone for a while; `half-open`: one attempt finds out.
    #[schema(value_type = BreakerName)]
    breaker: &'static str,
}

#[derive(Serialize, ToSchema)]
pub(super) struct EmailPage {
    data: Vec<EmailEntry>,
}

/// List e-mails.
#[utoipa::path(
    get, path = "/v1/emails", tag = "emails", operation_id = "listEmails",
    responses((status = 200, description = "All of them, by name", body = EmailPage)),
)]
pub(super) async fn list(State(api): State<Arc<Api>>, caller: Caller, given: Parameters) -> Result<Json<EmailPage>, Problem> {
    let principal = caller.may(Scope::Read)?;
    given.finish()?;
    let entries = api.store.entries(&principal.tenant, Kind::Email).await?;
    let mut endpoints = api.store.endpoints(&principal.tenant, Kind::Email).await?;
    let data = entries.into_iter().map(|entry| {
        let endpoint = endpoints.remove(&entry.name);
        EmailEntry::new(entry, endpoint.as_ref())
    });
    Ok(Json(EmailPage { data: data.collect() }))
}

/// Get an e-mail.
#[utoipa::path(
    get, path = "/v1/emails/{name}", tag = "emails", operation_id = "getEmail",
    params(("name" = String, Path, description = "Its name")),
    responses(
        (status = 200, description = "The e-mail", body = EmailEntry, headers(("ETag" = String, description = "The version"))),
        (status = 404, description = "None of that name", body = super::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn find(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(name): Path<String>,
    given: Parameters,
) -> Result<Response, Problem> {
    let principal = caller.may(Scope::Read)?;
    given.finish()?;
    let entry = api.store.entry(&principal.tenant, Kind::Email, &named(&name)?).await?.ok_or_else(Problem::not_found)?;
    answer(&api, &principal, entry).await
}

/// Make or replace an e-mail.
#[utoipa::path(
    put, path = "/v1/emails/{name}", tag = "emails", operation_id = "putEmail", request_body = schemas::Email,
    params(
        ("name" = String, Path, description = "1 to 64 letters, digits, `-`, `_` or `.`"),
        ("If-Match" = Option<String>, Header, description = "The version it must have"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: there must be none"),
    ),
    responses(
        (status = 200, description = "Replaced", body = EmailEntry, headers(("ETag" = String, description = "The version"))),
        (status = 201, description = "Made", body = EmailEntry, headers(("ETag" = String, description = "The version"))),
        (status = 409, description = "No mail server is configured", body = super::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 412, description = "It has another version", body = super::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn put(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(name): Path<String>,
    given: Parameters,
    headers: HeaderMap,
    OptionalJson(mut body): OptionalJson<Map<String, Value>>,
) -> Result<Response, Problem> {
    let principal = caller.may(Scope::Admin)?;
    given.finish()?;
    // What an answer says beside the entry.
    body.remove("breaker");
    if !api.mailer.is_configured() {
        return Err(Problem::conflict("No mail server is configured (smtp.host)."));
    }
    let (entry, made) = configured::keep(&api, &principal, &headers, (Kind::Email, &name), Value::Object(body), None).await?;
    let status = if made { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, answer(&api, &principal, entry).await?).into_response())
}

/// Delete an e-mail.
#[utoipa::path(
    delete, path = "/v1/emails/{name}", tag = "emails", operation_id = "deleteEmail",
    params(
        ("name" = String, Path, description = "Its name"),
        ("If-Match" = Option<String>, Header, description = "The version it must have"),
    ),
    responses(
        (status = 204, description = "Gone; what was to be delivered to it has failed"),
        (status = 404, description = "None of that name", body = super::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "A receiver needs it", body = super::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 412, description = "It has another version", body = super::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn delete(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(name): Path<String>,
    given: Parameters,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let principal = caller.may(Scope::Admin)?;
    given.finish()?;
    configured::delete(&api, &principal, &headers, Kind::Email, &name).await
}

/// Mail a test to every address; it goes the way every delivery goes.
#[utoipa::path(
    post, path = "/v1/emails/{name}/test", tag = "emails", operation_id = "testEmail",
    params(("name" = String, Path, description = "Its name")),
    responses(
        (status = 202, description = "A delivery for each address", body = DeliveryPage),
        (status = 404, description = "None of that name", body = super::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn test(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(name): Path<String>,
    given: Parameters,
) -> Result<(StatusCode, Json<DeliveryPage>), Problem> {
    let principal = caller.may(Scope::Write)?;
    given.finish()?;
    let entry = api.store.entry(&principal.tenant, Kind::Email, &named(&name)?).await?.ok_or_else(Problem::not_found)?;
    let email: Email = serde_json::from_value(entry.document).map_err(stream::Failure::transient)?;
    let document = DeliveryDocument::new(DeliveryType::Test, None);
    let made = api.store.add_emails(&principal.tenant, &entry.name, &email, &document, api.delivery.give_up_after).await?;
    let data = made.into_iter().map(|row| DeliveryStatus::new(row, None)).collect();
    Ok((StatusCode::ACCEPTED, Json(DeliveryPage { data, next_cursor: None })))
}

async fn answer(api: &Api, principal: &Principal, entry: Entry) -> Result<Response, Problem> {
    let version = entry.version.to_string();
    let endpoint = api.store.endpoint(&principal.tenant, Kind::Email, &entry.name).await?;
    Ok(tagged(&HeaderMap::new(), &version, EmailEntry::new(entry, endpoint.as_ref())))
}

impl EmailEntry {
    fn new(entry: Entry, endpoint: Option<&Endpoint>) -> Self {
        Self { breaker: Endpoint::breaker_of(endpoint), entry: entry.into() }
    }
}
