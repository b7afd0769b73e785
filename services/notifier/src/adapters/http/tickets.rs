//! Tickets for streams: an `EventSource` cannot send an API key, and a key does not belong into a URL.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use events::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::auth::Caller;
use super::body::OptionalJson;
use super::parameters::Parameters;
use super::problem::{Mistake, Problem};
use super::pulse::RECHECK;
use crate::adapters::device_document::{DeviceStateSymbol, HealthStateSymbol};
use crate::adapters::document::{Rfc3339, SeveritySymbol};
use crate::domain::access::Scope;
use crate::domain::symbol;
use crate::domain::watched::Watched;

/// What a ticket opens; empty lists do not filter. Notifications are filtered by severity, kind, `device_id`, `group_id` and
/// label, devices by `device_id`, status, health, `group_id` and q.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({ "stream": "notifications", "severity": ["CRITICAL"], "group_id": ["cold-room-2"], "label": ["team=cold-chain"] }))]
pub(super) struct TicketBody {
    #[schema(value_type = StreamName)]
    stream: Watched,
    #[schema(value_type = Vec<SeveritySymbol>)]
    severity: Vec<String>,
    kind: Vec<String>,
    device_id: Vec<String>,
    group_id: Vec<String>,
    /// Each `name=value`.
    label: Vec<String>,
    #[schema(value_type = Vec<DeviceStateSymbol>)]
    status: Vec<String>,
    #[schema(value_type = Vec<HealthStateSymbol>)]
    health: Vec<String>,
    q: Option<String>,
}

/// A stream: the schema of [`Watched`], which knows nothing of `OpenAPI`.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "a schema")]
pub(super) enum StreamName {
    Notifications,
    Devices,
}

/// A ticket: opens streams, nothing else, any number of times and on any replica.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "ticket": "fwt_8sKxS5cW0m2fGd1pQv6yTg",
    "url": "/v1/notifications/stream?ticket=fwt_8sKxS5cW0m2fGd1pQv6yTg",
    "good_until": "2026-01-31T08:25:30.000250Z"
}))]
pub(super) struct StreamTicket {
    ticket: String,
    /// What to open, relative to this API.
    url: String,
    /// Moves on while a stream is open.
    #[schema(value_type = String, format = DateTime)]
    good_until: Rfc3339,
}

/// Make a ticket for streams.
#[utoipa::path(
    post, path = "/v1/stream-tickets", tag = "stream", operation_id = "createStreamTicket", request_body(content = Option<TicketBody>),
    responses((status = 201, description = "The ticket", body = StreamTicket)),
)]
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    caller: Caller,
    given: Parameters,
    OptionalJson(body): OptionalJson<TicketBody>,
) -> Result<(StatusCode, Json<StreamTicket>), Problem> {
    let principal = caller.may(Scope::Read)?;
    given.finish()?;
    let watched = body.stream;
    let filter = body.pairs();
    let mut parameters = Parameters::new(filter.clone());
    match watched {
        Watched::Notifications => drop(parameters.stream_filter()),
        Watched::Devices => drop(parameters.device_stream_filter()),
    }
    let wrong = "a filter is not one of this stream, or its value not one of those it can have";
    parameters.finish().map_err(|_| Problem::invalid(vec![Mistake::pointer("", wrong)]))?;

    let ticket = format!("fwt_{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 24]>()));
    let good_until = api.store.add_ticket(&ticket, &principal, watched, &filter, api.sse.ticket_life + RECHECK).await?;
    let url = format!("/v1/{}/stream?ticket={ticket}", symbol(&watched));
    Ok((StatusCode::CREATED, Json(StreamTicket { ticket, url, good_until: Rfc3339(Timestamp::from(good_until)) })))
}

impl TicketBody {
    /// As the stream's query would say it.
    fn pairs(self) -> Vec<(String, String)> {
        let named = [
            ("severity", self.severity),
            ("kind", self.kind),
            ("device_id", self.device_id),
            ("group_id", self.group_id),
            ("label", self.label),
            ("status", self.status),
            ("health", self.health),
            ("q", self.q.into_iter().collect()),
        ];
        named.into_iter().flat_map(|(name, values)| values.into_iter().map(move |value| (name.to_owned(), value))).collect()
    }
}
