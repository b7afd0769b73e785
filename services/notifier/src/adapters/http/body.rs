//! JSON bodies that may be left out.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse as _;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::problem::{Mistake, Problem};

/// A JSON body; without one, or with `null`, what an empty object would be.
pub(super) struct OptionalJson<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let headers = request.headers().clone();
        let body = Bytes::from_request(request, state).await.map_err(|rejection| match rejection.into_response().status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(),
            _ => Problem::invalid(vec![Mistake::pointer("", "the body cannot be read")]),
        })?;
        read(&headers, &body).map(Self)
    }
}

/// Reads a JSON body; without one, or with `null`, what an empty object would be.
pub(super) fn read<T: DeserializeOwned>(headers: &HeaderMap, body: &Bytes) -> Result<T, Problem> {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_json = media_type.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"));
    let wrong = |error: serde_json::Error| Problem::invalid(vec![Mistake::pointer("", error.to_string())]);
    if !body.is_empty() && !is_json {
        return Err(Problem::unsupported_media_type());
    }
    // An object, not what else a struct could be read from.
    let given: Option<Map<String, Value>> = if body.is_empty() { None } else { serde_json::from_slice(body).map_err(wrong)? };
    serde_json::from_value(Value::Object(given.unwrap_or_default())).map_err(wrong)
}
