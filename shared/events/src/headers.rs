//! Record headers: `CloudEvents` 1.0 (Kafka binding, binary mode), W3C trace context, correlation id.

use uuid::Uuid;

use crate::Event;
use crate::trace::TraceContext;

pub const CE_SPECVERSION: &str = "ce_specversion";
pub const CE_ID: &str = "ce_id";
pub const CE_SOURCE: &str = "ce_source";
pub const CE_TYPE: &str = "ce_type";
pub const CE_TIME: &str = "ce_time";
pub const CE_SUBJECT: &str = "ce_subject";
pub const CONTENT_TYPE: &str = "content-type";
pub const CORRELATION_ID: &str = "correlation-id";
pub const TRACEPARENT: &str = "traceparent";
pub const TRACESTATE: &str = "tracestate";

/// Value of [`CONTENT_TYPE`] on every event.
pub const AVRO: &str = "application/avro";

/// The headers of one event; built once, then moved into the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventHeaders {
    pub id: Uuid,
    /// `/fieldwatch/<service>`
    pub source: String,
    pub ce_type: &'static str,
    pub time: String,
    pub subject: String,
    /// `ce_id` of the first event of the chain.
    pub correlation_id: String,
    pub trace: Option<TraceContext>,
}

impl EventHeaders {
    /// The headers of `event` as `service` sends it. Without a `correlation_id` the event is the first of its chain.
    pub fn of<E: Event>(event: &E, service: &str, correlation_id: Option<&str>, trace: Option<TraceContext>) -> Self {
        let id = event.event_id();
        Self {
            id,
            source: format!("/fieldwatch/{service}"),
            ce_type: E::SCHEMA.ce_type,
            time: event.time().to_string(),
            subject: event.subject().to_owned(),
            correlation_id: correlation_id.map_or_else(|| id.to_string(), str::to_owned),
            trace,
        }
    }

    /// Calls `each` with every header, in a fixed order.
    pub fn for_each(&self, mut each: impl FnMut(&'static str, &str)) {
        let mut id = Uuid::encode_buffer();
        each(CE_SPECVERSION, "1.0");
        each(CE_ID, self.id.hyphenated().encode_lower(&mut id));
        each(CE_SOURCE, &self.source);
        each(CE_TYPE, self.ce_type);
        each(CE_TIME, &self.time);
        if !self.subject.is_empty() {
            each(CE_SUBJECT, &self.subject);
        }
        each(CONTENT_TYPE, AVRO);
        each(CORRELATION_ID, &self.correlation_id);
        if let Some(trace) = &self.trace {
            each(TRACEPARENT, &trace.to_string());
            if let Some(state) = &trace.state {
                each(TRACESTATE, state);
            }
        }
    }
}
