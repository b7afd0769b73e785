//! Webhooks: where deliveries go, what signs them, and how the endpoint is doing.

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
use super::deliveries::DeliveryStatus;
use super::notifications::tagged;
use super::parameters::Parameters;
use super::problem::{Mistake, Problem};
use super::schemas;
use crate::adapters::db::{Endpoint, Entry, Kind, Reseal};
use crate::adapters::document::Rfc3339;
use crate::adapters::endpoint_secret::EndpointSecret;
use crate::adapters::payload::{DeliveryDocument, DeliveryType};
use crate::domain::access::{Principal, Scope};
use crate::domain::webhook::{Format, Webhook};

/// A webhook, and how its endpoint is doing.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "name": "ops-chat", "version": 2, "updated_at": "2026-01-31T08:15:30.000250Z", "updated_by": "admin",
    "url": "https://hooks.example.com/fieldwatch", "format": "standard", "description": "the ops room", "concurrency": 4, "rate_per_second": 10.0,
    "breaker": "closed", "disabled_at": "2026-01-31T08:25:30.000250Z", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
}))]
pub(super) struct WebhookEntry {
    #[serde(flatten)]
    #[schema(value_type = schemas::WebhookFields)]
    entry: EntryDocument,
    /// `open`: it keeps failing and is left alone for a while; `half-open`: one attempt finds out.
    #[schema(value_type = BreakerName)]
    breaker: &'static str,
    /// When it answered 410 and got nothing more; putting it again enables it.
    #[schema(value_type = Option<String>, format = DateTime)]
    disabled_at: Option<Rfc3339>,
    /// What signs its deliveries; shown when it is made, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
#[expect(dead_code, reason = "the schema of breaker::State, which knows nothing of OpenAPI")]
pub(super) enum BreakerName {
    Closed,
    Open,
    HalfOpen,
}

#[derive(Serialize, ToSchema)]
pub(super) struct WebhookPage {
    data: Vec<WebhookEntry>,
}

/// A new secret.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" }))]
pub(super) struct WebhookSecret {
    /// Shown this once. The one before signs along for a while.
    secret: String,
}

/// List webhooks.
#[utoipa::path(
    get, path = "/v1/webhooks", tag = "webhooks", operation_id = "listWebhooks",
    responses((status = 200, description = "All of them, by name", body = WebhookPage)),
)]
pub(super) async fn list(State(api): State<Arc<Api>>, caller: Caller, given: Parameters) -> Result<Json<WebhookPage>, Problem> {
    let principal = caller.may(Scope::Read)?;
    given.finish()?;
    let entries = api.store.entries(&principal.tenant, Kind::Webhook).await?;
    let mut endpoints = api.store.endpoints(&principal.tenant, Kind::Webhook).await?;
    let data = entries.into_iter().map(|entry| {
        let endpoint = endpoints.remove(&entry.name);
        WebhookEntry::new(entry, endpoint.as_ref(), None)
    });
    Ok(Json(WebhookPage { data: data.collect() }))
}

/// Get a webhook.
#[utoipa::path(
    get, path = "/v1/webhooks/{name}", tag = "webhooks", operation_id = "getWebhook",
    params(("name" = String, Path, description = "Its name")),
    responses(
        (status = 200, description = "The webhook", body = WebhookEntry, headers(("ETag" = String, description = "The version"))),
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
    let entry = api.store.entry(&principal.tenant, Kind::Webhook, &named(&name)?).await?.ok_or_else(Problem::not_found)?;
    let version = entry.version.to_string();
    Ok(tagged(&HeaderMap::new(), &version, with_health(&api, &principal, entry, None).await?))
}

/// Make or replace a webhook.
///
/// A new one is answered with the secret that signs its deliveries. One that was disabled by a 410 is enabled.
#[utoipa::path(
    put, path = "/v1/webhooks/{name}", tag = "webhooks", operation_id = "putWebhook", request_body = schemas::Webhook,
    params(
        ("name" = String, Path, description = "1 to 64 letters, digits, `-`, `_` or `.`"),
        ("If-Match" = Option<String>, Header, description = "The version it must have"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: there must be none"),
    ),
    responses(
        (status = 200, description = "Replaced", body = WebhookEntry, headers(("ETag" = String, description = "The version"))),
        (status = 201, description = "Made", body = WebhookEntry, headers(("ETag" = String, description = "The version"))),
        (status = 409, description = "No key for secrets is configured, or its secret was rotated just now", body = super::problem::ProblemDocument, content_type = "application/problem+json"),
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
    for field in ["name", "version", "updated_at", "updated_by", "breaker", "disabled_at", "secret"] {
        body.remove(field);
    }
    let wrong = |error: serde_json::Error| Problem::invalid(vec![Mistake::pointer("", error.to_string())]);
    let webhook: Webhook = serde_json::from_value(Value::Object(body)).map_err(wrong)?;
    let was = api.store.webhook_secret(&principal.tenant, &name).await?;
    let before = was.as_ref().map(|sealed| EndpointSecret::open(&api.vault, &principal.tenant, &name, sealed)).transpose()?;
    let wrong_url = |problem: String| Problem::invalid(vec![Mistake::pointer("/url", problem)]);
    let secret = EndpointSecret::of(&webhook, before, None).map_err(|unknown| wrong_url(unknown.to_string()))?;
    api.clients.of(secret.address(&webhook)).map_err(|refused| wrong_url(refused.to_string()))?;
    let is_new = was.is_none();
    let reseal = Reseal { was, sealed: secret.seal(&api.vault, &principal.tenant, &name)? };
    let document = serde_json::to_value(webhook.masked()).map_err(wrong)?;
    let (entry, made) = configured::keep(&api, &principal, &headers, (Kind::Webhook, &name), document, Some(reseal)).await?;
    let version = entry.version.to_string();
    let shown = (is_new && webhook.format == Format::Standard).then_some(secret.current);
    let status = if made { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, tagged(&HeaderMap::new(), &version, with_health(&api, &principal, entry, shown).await?)).into_response())
}

/// Delete a webhook.
#[utoipa::path(
    delete, path = "/v1/webhooks/{name}", tag = "webhooks", operation_id = "deleteWebhook",
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
    configured::delete(&api, &principal, &headers, Kind::Webhook, &name).await
}

/// Give a webhook a new secret. The one before signs along for a while, so that its receiver can change over.
#[utoipa::path(
    post, path = "/v1/webhooks/{name}/rotate-secret", tag = "webhooks", operation_id = "rotateWebhookSecret",
    params(("name" = String, Path, description = "Its name")),
    responses(
        (status = 200, description = "The new secret", body = WebhookSecret),
        (status = 404, description = "None of that name", body = super::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "Someone else rotated it just now", body = super::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn rotate(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(name): Path<String>,
    given: Parameters,
) -> Result<Json<WebhookSecret>, Problem> {
    let principal = caller.may(Scope::Admin)?;
    given.finish()?;
    let (tenant, name) = (&principal.tenant, named(&name)?);
    let was = api.store.webhook_secret(tenant, &name).await?.ok_or_else(Problem::not_found)?;
    let mut secret = EndpointSecret::open(&api.vault, tenant, &name, &was)?;
    secret.rotate(std::time::SystemTime::now().into(), api.delivery.secret_overlap);
    let sealed = secret.seal(&api.vault, tenant, &name)?;
    if !api.store.replace_webhook_secret(tenant, &name, &was, &sealed).await? {
        return Err(Problem::conflict("The secret was changed by someone else just now."));
    }
    Ok(Json(WebhookSecret { secret: secret.current }))
}

/// Send a webhook a test; it goes the way every delivery goes.
#[utoipa::path(
    post, path = "/v1/webhooks/{name}/test", tag = "webhooks", operation_id = "testWebhook",
    params(("name" = String, Path, description = "Its name")),
    responses(
        (status = 202, description = "The delivery", body = DeliveryStatus),
        (status = 404, description = "None of that name", body = super::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn test(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(name): Path<String>,
    given: Parameters,
) -> Result<(StatusCode, Json<DeliveryStatus>), Problem> {
    let principal = caller.may(Scope::Write)?;
    given.finish()?;
    let entry = api.store.entry(&principal.tenant, Kind::Webhook, &named(&name)?).await?.ok_or_else(Problem::not_found)?;
    let webhook: Webhook = serde_json::from_value(entry.document).map_err(stream::Failure::transient)?;
    let document = DeliveryDocument::new(DeliveryType::Test, None);
    let body = document.body(webhook.format);
    let made = api.store.add_delivery(&principal.tenant, &entry.name, &document, &body, api.delivery.give_up_after).await?;
    Ok((StatusCode::ACCEPTED, Json(DeliveryStatus::new(made, None))))
}

async fn with_health(api: &Api, principal: &Principal, entry: Entry, secret: Option<String>) -> Result<WebhookEntry, Problem> {
    let endpoint = api.store.endpoint(&principal.tenant, Kind::Webhook, &entry.name).await?;
    Ok(WebhookEntry::new(entry, endpoint.as_ref(), secret))
}

impl WebhookEntry {
    fn new(entry: Entry, endpoint: Option<&Endpoint>, secret: Option<String>) -> Self {
        Self {
            breaker: Endpoint::breaker_of(endpoint),
            disabled_at: endpoint.and_then(|endpoint| endpoint.disabled_at).map(Rfc3339),
            entry: entry.into(),
            secret,
        }
    }
}
