//! A span and a count for every request. What the caller sends as trace context is only linked to: outsiders do not
//! decide what is sampled.

use std::time::SystemTime;

use axum::extract::{MatchedPath, Request};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;
use events::trace::TraceContext;
use events::{Timestamp, headers};
use telemetry::metrics;
use telemetry::span::{MessageSpan, Operation};
use uuid::Uuid;

use crate::domain::lifecycle::Cause;

/// The context of the span that works on a request.
#[derive(Clone, Debug)]
pub(super) struct RequestTrace(pub Option<TraceContext>);

impl RequestTrace {
    /// 32 hex digits; zeros where there is no telemetry.
    pub(super) fn id(&self) -> String {
        self.0.as_ref().map_or_else(|| "0".repeat(32), TraceContext::trace_id_hex)
    }

    /// The request as the cause of what it changes.
    pub(super) fn cause(&self) -> Cause {
        let trace_id = self.0.as_ref().map(TraceContext::trace_id_hex);
        Cause { event_id: Uuid::now_v7(), trace_id, at: Timestamp::from(SystemTime::now()) }
    }
}

pub(super) async fn observe(mut request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let span = MessageSpan::start_linked(Operation::Receive, &route, outside(request.headers()).as_ref());
    span.set("http.request.method", request.method().as_str().to_owned());
    request.extensions_mut().insert(RequestTrace(span.context()));
    let response = next.run(request).await;
    let status = response.status();
    span.set("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.fail(status.as_str());
    }
    metrics::counter("fieldwatch_http_requests", &[("route", &route), ("status", status.as_str())]).inc();
    response
}

fn outside(headers: &HeaderMap) -> Option<TraceContext> {
    headers.get(headers::TRACEPARENT)?.to_str().ok()?.parse().ok()
}
