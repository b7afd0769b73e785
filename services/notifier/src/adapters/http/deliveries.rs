//! Deliveries and their attempts, and sending one again.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Api;
use super::auth::Caller;
use super::configured::named;
use super::notifications::{id_of, read_cursor, write_cursor};
use super::parameters::Parameters;
use super::problem::Problem;
use crate::adapters::db::{AttemptRow, DeliveryRow, Kind};
use crate::adapters::document::Rfc3339;
use crate::adapters::examples;
use crate::domain::access::Scope;

/// A delivery as it stands.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "delivery_id": "01970000-0000-7000-8000-000000000000", "webhook": "ops-chat", "email": null, "recipient": null, "receiver": "ops", "type": "notifications",
    "group_key": "/{}:{\"group_id\":\"cold-room-2\",\"kind\":\"alert\",\"tenant\":\"default\"}", "state": "PENDING", "attempts": 1,
    "created_at": "2026-01-31T08:15:30.000250Z", "next_attempt_at": "2026-01-31T08:15:35.000250Z", "give_up_at": "2026-02-03T08:15:30.000250Z",
    "finished_at": null, "last_status": 503, "last_error": "answered 503", "body": "{\"type\":\"notifications\"}",
    "attempt_log": [{ "number": 1, "at": "2026-01-31T08:15:30.100250Z", "duration_ms": 12, "status": 503, "error": "answered 503" }]
}))]
pub(super) struct DeliveryStatus {
    /// `webhook-id`, and the first part of `Message-ID`: the same for every attempt.
    delivery_id: Uuid,
    /// Name of the webhook it goes to; null for an e-mail.
    webhook: Option<String>,
    /// Name of the e-mail it goes to, and the one address of it; null for a webhook.
    email: Option<String>,
    recipient: Option<String>,
    receiver: Option<String>,
    /// notifications, summary, escalation, heartbeat, test.
    r#type: String,
    group_key: Option<String>,
    #[schema(value_type = DeliveryState)]
    state: String,
    attempts: i32,
    #[schema(value_type = String, format = DateTime)]
    created_at: Rfc3339,
    /// Of a delivery that is pending.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_attempt_at: Option<Rfc3339>,
    #[schema(value_type = String, format = DateTime)]
    give_up_at: Rfc3339,
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Rfc3339>,
    /// What the endpoint answered last: a status of HTTP, or a reply code of SMTP.
    last_status: Option<i32>,
    last_error: Option<String>,
    /// What is posted, or mailed: the subject, an empty line, the text.
    body: String,
    /// Every attempt, oldest first; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt_log: Option<Vec<Attempt>>,
}

#[derive(ToSchema)]
#[schema(rename_all = "UPPERCASE")]
#[expect(dead_code, reason = "the schema of a column's texts")]
enum DeliveryState {
    Pending,
    Delivered,
    Failed,
}

/// One attempt of a delivery.
#[derive(Serialize, ToSchema)]
pub(super) struct Attempt {
    /// From 1.
    number: i32,
    #[schema(value_type = String, format = DateTime)]
    at: Rfc3339,
    duration_ms: i64,
    /// What the endpoint answered; null when it did not.
    status: Option<i32>,
    error: Option<String>,
}

/// A page of deliveries, latest first.
#[derive(Serialize, ToSchema)]
pub(super) struct DeliveryPage {
    pub data: Vec<DeliveryStatus>,
    /// Gives the next page, with the same filter; null on the last one.
    #[schema(example = json!(examples::CURSOR))]
    pub next_cursor: Option<String>,
}

impl DeliveryStatus {
    pub(super) fn new(row: DeliveryRow, attempts: Option<Vec<AttemptRow>>) -> Self {
        let attempt = |row: AttemptRow| Attempt {
            number: row.attempt,
            at: Rfc3339(row.at),
            duration_ms: row.duration_ms,
            status: row.status,
            error: row.error,
        };
        let is_pending = row.state == "PENDING";
        let is_email = row.kind == Kind::Email.as_str();
        Self {
            delivery_id: row.delivery_id,
            webhook: (!is_email).then(|| row.name.clone()),
            email: is_email.then_some(row.name),
            recipient: row.recipient,
            receiver: row.receiver,
            r#type: row.r#type,
            group_key: row.group_key,
            state: row.state,
            attempts: row.attempts,
            created_at: Rfc3339(row.created_at),
            next_attempt_at: is_pending.then_some(Rfc3339(row.next_attempt_at)),
            give_up_at: Rfc3339(row.give_up_at),
            finished_at: row.finished_at.map(Rfc3339),
            last_status: row.last_status,
            last_error: row.last_error,
            body: row.body,
            attempt_log: attempts.map(|attempts| attempts.into_iter().map(attempt).collect()),
        }
    }
}

async fn list(api: &Api, caller: Caller, kind: Kind, name: &str, mut given: Parameters) -> Result<Json<DeliveryPage>, Problem> {
    let principal = caller.may(Scope::Read)?;
    let limit = given.limit();
    let cursor = given.one("cursor");
    let is_state = |text: &str| ["PENDING", "DELIVERED", "FAILED"].contains(&text).then(|| text.to_owned());
    let state = given.one_as("state", "one of PENDING, DELIVERED, FAILED", is_state);
    given.finish()?;
    let (tenant, name) = (&principal.tenant, named(name)?);
    let context = format!("deliveries of {tenant} to {} {name} in {state:?}", kind.as_str());
    let after = cursor.map(|cursor| read_cursor(&api.signer, &context, &cursor)).transpose()?;
    api.store.entry(tenant, kind, &name).await?.ok_or_else(Problem::not_found)?;
    let mut rows = api.store.deliveries(tenant, (kind, &name), state.as_deref(), after, limit as i64 + 1).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let place = rows.last().filter(|_| more).map(|last| (last.created_at, last.delivery_id));
    let next_cursor = place.map(|place| write_cursor(&api.signer, &context, place));
    Ok(Json(DeliveryPage { data: rows.into_iter().map(|row| DeliveryStatus::new(row, None)).collect(), next_cursor }))
}

async fn find(api: &Api, caller: Caller, kind: Kind, id: &str, given: Parameters) -> Result<Json<DeliveryStatus>, Problem> {
    let principal = caller.may(Scope::Read)?;
    given.finish()?;
    let row = api.store.delivery(&principal.tenant, kind, id_of(id)?).await?.ok_or_else(Problem::not_found)?;
    let attempts = api.store.attempts(row.delivery_id).await?;
    Ok(Json(DeliveryStatus::new(row, Some(attempts))))
}

async fn resend(api: &Api, caller: Caller, kind: Kind, id: &str, given: Parameters) -> Result<(StatusCode, Json<DeliveryStatus>), Problem> {
    let principal = caller.may(Scope::Write)?;
    given.finish()?;
    let resent = api.store.resend(&principal.tenant, kind, id_of(id)?, api.delivery.give_up_after).await?;
    let row = resent.ok_or_else(Problem::not_found)?;
    Ok((StatusCode::ACCEPTED, Json(DeliveryStatus::new(row, None))))
}

macro_rules! deliveries_of {
    ($module:ident, $kind:expr, $what:literal, $tag:literal, $all:literal, $one:literal, $again:literal, $list:literal, $get:literal, $resend:literal) => {
        pub(super) mod $module {
            use super::*;

            #[doc = concat!("List ", $what, "'s deliveries, latest first.")]
            #[utoipa::path(
                get, path = $all, tag = $tag, operation_id = $list,
                params(
                    ("name" = String, Path, description = "Its name"),
                    ("state" = inline(Option<DeliveryState>), Query, description = "Only these"),
                    ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
                    ("limit" = Option<u32>, Query, description = "Deliveries on a page; 50 when not given", minimum = 1, maximum = 200),
                ),
                responses(
                    (status = 200, description = "A page", body = DeliveryPage),
                    (status = 404, description = "None of that name", body = super::super::problem::ProblemDocument, content_type = "application/problem+json"),
                ),
            )]
            pub(in crate::adapters::http) async fn list(
                State(api): State<Arc<Api>>,
                caller: Caller,
                Path(name): Path<String>,
                given: Parameters,
            ) -> Result<Json<DeliveryPage>, Problem> {
                super::list(&api, caller, $kind, &name, given).await
            }

            /// Get a delivery with its attempts.
            #[utoipa::path(
                get, path = $one, tag = $tag, operation_id = $get,
                params(("id" = Uuid, Path, description = "`delivery_id`")),
                responses(
                    (status = 200, description = "The delivery", body = DeliveryStatus),
                    (status = 404, description = "No such delivery", body = super::super::problem::ProblemDocument, content_type = "application/problem+json"),
                ),
            )]
            pub(in crate::adapters::http) async fn find(
                State(api): State<Arc<Api>>,
                caller: Caller,
                Path(id): Path<String>,
                given: Parameters,
            ) -> Result<Json<DeliveryStatus>, Problem> {
                super::find(&api, caller, $kind, &id, given).await
            }

            /// Send a delivery again, whatever became of it; it keeps its id.
            #[utoipa::path(
                post, path = $again, tag = $tag, operation_id = $resend,
                params(("id" = Uuid, Path, description = "`delivery_id`")),
                responses(
                    (status = 202, description = "It is on its way", body = DeliveryStatus),
                    (status = 404, description = "No such delivery", body = super::super::problem::ProblemDocument, content_type = "application/problem+json"),
                ),
            )]
            pub(in crate::adapters::http) async fn resend(
                State(api): State<Arc<Api>>,
                caller: Caller,
                Path(id): Path<String>,
                given: Parameters,
            ) -> Result<(StatusCode, Json<DeliveryStatus>), Problem> {
                super::resend(&api, caller, $kind, &id, given).await
            }
        }
    };
}

deliveries_of!(
    to_webhooks,
    Kind::Webhook,
    "a webhook",
    "webhooks",
    "/v1/webhooks/{name}/deliveries",
    "/v1/webhooks/deliveries/{id}",
    "/v1/webhooks/deliveries/{id}/resend",
    "listDeliveries",
    "getDelivery",
    "resendDelivery"
);
deliveries_of!(
    to_emails,
    Kind::Email,
    "an e-mail",
    "emails",
    "/v1/emails/{name}/deliveries",
    "/v1/emails/deliveries/{id}",
    "/v1/emails/deliveries/{id}/resend",
    "listEmailDeliveries",
    "getEmailDelivery",
    "resendEmailDelivery"
);
