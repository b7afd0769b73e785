//! The API's own description: `OpenAPI` 3.1 at `/openapi.json`.

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderValue, header};
use axum::routing::get;
use utoipa::OpenApi as _;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response};

use super::frames::{Gap, Snapshot};
use super::problem::{Mistake, ProblemDocument};
use crate::adapters::command_document::CommandNews;
use crate::adapters::device_document::{DeviceDocument, DeviceStateSymbol, HealthStateSymbol, ReadingDocument};
use crate::adapters::document::{
    CountsBySeverity, CountsByState, CountsDocument, EventDocument, NotificationDocument, SeveritySymbol, StateSymbol,
};
use crate::adapters::payload::DeliveryDocument;
use crate::adapters::timeline_document::TimelineDocument;

const KEY: &str = "api_key";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Fieldwatch notifications",
        description = "Alerts, anomalies and device states as notifications people can work with. Fields are named as in the Avro schemas, \
                       times are RFC 3339 in UTC, unknown fields may appear. Errors are `application/problem+json`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags(
        (name = "notifications", description = "Reading and changing notifications"),
        (name = "stream", description = "Notifications as they change, as server-sent events"),
        (name = "devices", description = "What each device said last, and what happened to it"),
        (name = "commands", description = "What devices are told to do, and what became of it"),
        (name = "configuration", description = "Who is told of what, and when not"),
        (name = "webhooks", description = "Where deliveries go, and what became of them"),
        (name = "emails", description = "Whom deliveries are mailed to, and what became of them"),
        (name = "access", description = "API keys"),
    ),
    components(schemas(
        NotificationDocument, EventDocument, CountsDocument, CountsByState, CountsBySeverity, StateSymbol, SeveritySymbol, Snapshot, Gap,
        ProblemDocument, Mistake, DeliveryDocument, DeviceDocument, DeviceStateSymbol, HealthStateSymbol, ReadingDocument,
        TimelineDocument, CommandNews
    )),
)]
struct Outline;

/// The description before any route adds itself.
pub(super) fn outline() -> OpenApi {
    Outline::openapi()
}

/// The whole description.
pub fn document() -> OpenApi {
    let (_, description) = super::described().split_for_parts();
    complete(description)
}

/// Written once: the router is copied for every connection, and the description as it is takes megabytes.
pub(super) fn routes<S: Clone + Send + Sync + 'static>(description: OpenApi) -> Router<S> {
    let text = Bytes::from(serde_json::to_vec(&complete(description)).unwrap_or_default());
    let json = HeaderValue::from_static("application/json");
    Router::new().route("/openapi.json", get(async move || ([(header::CONTENT_TYPE, json.clone())], text.clone())))
}

/// What holds for every operation: the key, and that anything else is a problem.
fn complete(mut description: OpenApi) -> OpenApi {
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("fw_…, or a JWT of the configured issuer").build();
    description.components.get_or_insert_default().add_security_scheme(KEY, SecurityScheme::Http(scheme));
    let paths = description.paths.paths.values_mut();
    for operation in paths.flat_map(|path| [path.get.as_mut(), path.post.as_mut(), path.put.as_mut(), path.delete.as_mut()]).flatten() {
        describe_refusals(operation);
    }
    description
}

fn describe_refusals(operation: &mut Operation) {
    operation.security = Some(vec![SecurityRequirement::new(KEY, Vec::<String>::new())]);
    let refusals = [
        ("400", "The request is not valid"),
        ("401", "No API key and no token, or one that is not good"),
        ("403", "The key or the token lacks the scope"),
        ("429", "The key asks too often; `Retry-After` says when it may again"),
        ("503", "A part this service depends on cannot be reached"),
        ("default", "Any other problem"),
    ];
    for (status, description) in refusals {
        let content = Content::new(Some(RefOr::Ref(Ref::from_schema_name("Problem"))));
        let mut response = Response::new(description);
        response.content.insert("application/problem+json".into(), RefOr::T(content));
        operation.responses.responses.entry(status.into()).or_insert(RefOr::T(response));
    }
}
