//! The bytes of an event stream (WHATWG HTML, 9.2).

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::Stream;
use serde::Serialize;
use telemetry::metrics;
use utoipa::ToSchema;

use crate::adapters::document::{CountsDocument, NotificationDocument};
use crate::adapters::examples;
use crate::domain::position::{NotAPosition, Position};

/// How long a browser waits before it comes back, in milliseconds.
const RETRY: u32 = 2_000;

/// `event: snapshot`: what is unresolved when a stream begins.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "notifications": [examples::notification()], "counts": examples::counts(), "truncated": false }))]
pub(super) struct Snapshot {
    /// The latest 200 at most.
    pub notifications: Vec<NotificationDocument>,
    pub counts: CountsDocument,
    /// More are unresolved than shown here.
    pub truncated: bool,
}

/// `event: gap`: changes between two positions were not sent. A snapshot follows, or the stream ends.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "from": "AQwAAAAAAAAAAAAAAAA", "to": "AQwBAAAAAAAAAAAAAAA", "reason": "slow_client" }))]
pub(super) struct Gap {
    pub from: String,
    pub to: String,
    /// `expired` and `unknown_position` are followed by a snapshot; after `slow_client` the stream ends: come back with `from`.
    pub reason: String,
}

/// The text of a position in `id:` and `Last-Event-ID`.
pub(super) fn event_id(position: &Position) -> String {
    URL_SAFE_NO_PAD.encode(position.to_bytes())
}

pub(super) fn position(event_id: &str) -> Result<Position, NotAPosition> {
    URL_SAFE_NO_PAD.decode(event_id).map_err(|_| NotAPosition).and_then(|bytes| Position::from_bytes(&bytes))
}

/// An event; `data` holds no line break.
pub(super) fn event(name: &'static str, id: Option<&Position>, data: &[u8]) -> Bytes {
    metrics::counter("fieldwatch_sse_frames", &[("event", name)]).inc();
    let mut bytes = Vec::with_capacity(data.len() + 128);
    if let Some(position) = id {
        bytes.extend_from_slice(b"id: ");
        bytes.extend_from_slice(event_id(position).as_bytes());
        bytes.push(b'\n');
    }
    bytes.extend_from_slice(b"event: ");
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(b"\ndata: ");
    bytes.extend_from_slice(data);
    bytes.extend_from_slice(b"\n\n");
    bytes.into()
}

/// A stream that is not to be kept by anybody on its way.
pub(super) fn response(frames: impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static) -> Response {
    let mut response = Body::from_stream(frames).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Asks reverse proxies not to hold frames back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// The first bytes of a stream.
pub(super) fn opening() -> Bytes {
    format!("retry: {RETRY}\n\n").into()
}

pub(super) fn keep_alive() -> Bytes {
    Bytes::from_static(b": keep-alive\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_names_its_position() {
        let at = Position::new(vec![1, 2]);
        let bytes = event("notification", Some(&at), b"{}");
        assert_eq!(bytes, format!("id: {}\nevent: notification\ndata: {{}}\n\n", event_id(&at)));
        assert_eq!(position(&event_id(&at)), Ok(at));
        assert_eq!(event("counts", None, b"{}"), "event: counts\ndata: {}\n\n");
    }

    #[test]
    fn what_is_no_event_id_is_refused() {
        assert_eq!(position("not base64!"), Err(NotAPosition));
        assert_eq!(position("AAAA"), Err(NotAPosition));
    }

    mod fuzz {
        use super::*;

        #[test]
        fn an_event_id_is_a_position_that_is_written_the_same_or_none() {
            let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/event-id");
            testkit::fuzz::fuzz("event-id", &corpus, |bytes| {
                let found = position(std::str::from_utf8(bytes).ok()?).ok()?;
                assert!((1..=4_096).contains(&found.partitions()) && found.next_offsets().iter().all(|next| *next >= 0));
                assert_eq!(position(&event_id(&found)), Ok(found.clone()));
                Some(found.partitions().min(32))
            });
        }
    }
}
