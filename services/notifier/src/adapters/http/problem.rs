//! Errors as `application/problem+json` (RFC 9457).
//!
//! A handler answers with a [`Problem`]; the outermost layer writes it, with the request's trace, and gives what the
//! framework refused by itself (no route, wrong method, too large) the same shape. What is our fault says nothing of why.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use stream::Failure;
use utoipa::ToSchema;

use super::observe::RequestTrace;
use crate::adapters::db::{NotChanged, classify};
use crate::adapters::oidc::NotAccepted;
use crate::adapters::vault::Unsealable;
use crate::domain::command::Refused;

/// An answer that says what went wrong.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    status: StatusCode,
    /// Last part of the problem's type.
    kind: &'static str,
    title: &'static str,
    detail: String,
    errors: Vec<Mistake>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// One thing wrong with a request, and where: exactly one of the places is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Mistake {
    /// Query parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// JSON pointer into the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    pub detail: String,
}

impl Mistake {
    pub(super) fn parameter(name: &str, detail: impl Into<String>) -> Self {
        Self { parameter: Some(name.to_owned()), detail: detail.into(), ..Self::default() }
    }

    pub(super) fn header(name: &str, detail: impl Into<String>) -> Self {
        Self { header: Some(name.to_owned()), detail: detail.into(), ..Self::default() }
    }

    pub(super) fn pointer(pointer: &str, detail: impl Into<String>) -> Self {
        Self { pointer: Some(pointer.to_owned()), detail: detail.into(), ..Self::default() }
    }
}

/// A problem as it is sent (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem, example = json!({
    "type": "urn:fieldwatch:problem:invalid-request",
    "title": "The request is not valid",
    "status": 400,
    "detail": "1 mistake in the request",
    "instance": "/v1/notifications",
    "errors": [{ "parameter": "limit", "detail": "is not a number from 1 to 200" }],
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"
}))]
pub(super) struct ProblemDocument {
    /// Names the kind of problem.
    #[schema(format = "uri")]
    r#type: String,
    title: String,
    status: u16,
    detail: String,
    /// Path of the request.
    instance: String,
    errors: Vec<Mistake>,
    /// 32 hex digits; names the request in logs and traces.
    trace_id: String,
}

impl Problem {
    fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, kind, title, detail: detail.into(), errors: Vec::new(), headers: Vec::new() }
    }

    pub(super) fn invalid(errors: Vec<Mistake>) -> Self {
        let detail =
            if errors.len() == 1 { "1 mistake in the request".to_owned() } else { format!("{} mistakes in the request", errors.len()) };
        Self { errors, ..Self::new(StatusCode::BAD_REQUEST, "invalid-request", "The request is not valid", detail) }
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", "There is nothing here, or it is not yours.")
    }

    pub(super) fn unauthenticated(detail: &str) -> Self {
        let problem = Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "An API key is needed", detail);
        problem.header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    pub(super) fn forbidden(scope: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "The API key does not allow this", format!("The key needs the scope `{scope}`."))
    }

    pub(super) fn unavailable() -> Self {
        let detail = "A part this service depends on cannot be reached right now.";
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not available right now", detail);
        problem.header(header::RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// One request too many; another may come after the wait.
    pub(super) fn too_many(wait: Duration) -> Self {
        let detail = "This API key asks more often than it may.";
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests", detail);
        problem.header(header::RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1))
    }

    pub(super) fn key_reused() -> Self {
        let detail = "The Idempotency-Key was used with another body.";
        let errors = vec![Mistake::header("Idempotency-Key", "was used with another body")];
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "key-reused", "Another request has this key", detail) }
    }

    pub(super) fn conflict(detail: &str) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", "This is in conflict with how things are", detail)
    }

    pub(super) fn in_use(errors: Vec<Mistake>) -> Self {
        Self { errors, ..Self::conflict("Something else needs it.") }
    }

    pub(super) fn stale(detail: &str) -> Self {
        let errors = vec![Mistake::header("If-Match", detail)];
        Self { errors, ..Self::new(StatusCode::PRECONDITION_FAILED, "stale-version", "The version is stale", detail) }
    }

    pub(super) fn unsupported_media_type() -> Self {
        let detail = "A body is sent as application/json.";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The body is not JSON", detail)
    }

    pub(super) fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large", "The request's body is larger than allowed.")
    }

    fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong here", "The failure was logged under this trace.")
    }

    /// What the framework answered without a body of ours.
    fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::not_found(),
            StatusCode::METHOD_NOT_ALLOWED => Self::new(
                status,
                "method-not-allowed",
                "The method is not allowed",
                "The header `Allow` names the methods of this resource.",
            ),
            StatusCode::PAYLOAD_TOO_LARGE => Self::too_large(),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::REQUEST_TIMEOUT => Self::unavailable(),
            status if status.is_server_error() => Self::internal(),
            status => Self::new(status, "invalid-request", "The request is not valid", "The request cannot be understood."),
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    fn into_json(self, instance: &str, trace_id: String) -> Response {
        let document = ProblemDocument {
            r#type: format!("urn:fieldwatch:problem:{}", self.kind),
            title: self.title.to_owned(),
            status: self.status.as_u16(),
            detail: self.detail,
            instance: instance.to_owned(),
            errors: self.errors,
            trace_id,
        };
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = (self.status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        response.headers_mut().extend(self.headers);
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// A failure where a request needed something: logged here, told without details.
impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        failure.note("request");
        match failure {
            Failure::Transient(_) => Self::unavailable(),
            Failure::Poison(_) => Self::of_status(StatusCode::BAD_REQUEST),
            Failure::Fatal(_) => Self::internal(),
        }
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        classify(&error).into()
    }
}

impl From<NotAccepted> for Problem {
    fn from(not_accepted: NotAccepted) -> Self {
        match not_accepted {
            NotAccepted::Refused(why) => Self::unauthenticated(why),
            NotAccepted::Unreachable => Self::unavailable(),
        }
    }
}

impl From<Unsealable> for Problem {
    fn from(problem: Unsealable) -> Self {
        match problem {
            Unsealable::NoKey => Self::conflict("Secrets of webhooks are encrypted, and no key for that is configured (secrets.key_file)."),
            Unsealable::KeyUnknown | Unsealable::Forged => Failure::fatal(format!("a webhook's secret cannot be opened: {problem}")).into(),
        }
    }
}

impl From<NotChanged> for Problem {
    fn from(not_changed: NotChanged) -> Self {
        let detail = not_changed.to_string();
        match not_changed {
            NotChanged::Missing => Self::not_found(),
            NotChanged::Refused(Refused::Stale { .. }) => Self::stale(&detail),
            NotChanged::Refused(Refused::Illegal { .. } | Refused::Succeeded) => {
                Self::new(StatusCode::CONFLICT, "illegal-transition", "The state does not allow this", detail)
            }
            NotChanged::Refused(Refused::Past { .. }) => Self::invalid(vec![Mistake::pointer("/until", detail)]),
            NotChanged::Failed(failure) => failure.into(),
        }
    }
}

/// Writes problems.
pub(super) async fn write(request: Request, next: Next) -> Response {
    let instance = request.uri().path().to_owned();
    let trace_id = request.extensions().get::<RequestTrace>().map(RequestTrace::id).unwrap_or_default();
    let mut response = next.run(request).await;
    let ours = response.extensions_mut().remove::<Problem>();
    if ours.is_none() && !(response.status().is_client_error() || response.status().is_server_error()) {
        return response;
    }
    let (parts, _) = response.into_parts();
    let mut answer: Response<Body> = ours.unwrap_or_else(|| Problem::of_status(parts.status)).into_json(&instance, trace_id);
    // What belongs to the refusal itself, e.g. Allow, stays.
    if let Some(allow) = parts.headers.get(header::ALLOW) {
        answer.headers_mut().insert(header::ALLOW, allow.clone());
    }
    answer
}
