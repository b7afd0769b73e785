//! Spans of messages, after OpenTelemetry's messaging conventions.
//!
//! A span continues the message's trace as its child and links to it; what must be seen starts a sampled trace of its
//! own when the message's was not sampled.

use events::trace::TraceContext;
use opentelemetry::trace::{
    Link, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer, TracerProvider,
};
use opentelemetry::{Context, KeyValue, global};

use crate::sampler::MUST_SAMPLE;

/// What a span does with messages; decides its kind and `messaging.operation.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Takes a message from outside (MQTT, HTTP).
    Receive,
    /// Works on a message of a topic.
    Process,
    /// Puts a message into a topic or on a stream.
    Publish,
}

/// A running span of one message; ends when dropped.
pub struct MessageSpan {
    context: Context,
}

impl MessageSpan {
    /// Continues the message's trace, as child and with a link; without one, a root sampled by ratio.
    pub fn start(operation: Operation, destination: &str, message: Option<&TraceContext>) -> Self {
        Self::build(operation, destination, message, message, false)
    }

    /// As [`start`](Self::start), but never unsampled: a message outside a sampled trace gets a new one, linked to it.
    pub fn start_sampled(operation: Operation, destination: &str, message: Option<&TraceContext>) -> Self {
        let parent = message.filter(|context| context.sampled);
        Self::build(operation, destination, parent, message, true)
    }

    /// A root of our own that only links to what the outside sent: a device must not force sampling.
    pub fn start_linked(operation: Operation, destination: &str, outside: Option<&TraceContext>) -> Self {
        Self::build(operation, destination, None, outside, false)
    }

    fn build(operation: Operation, destination: &str, parent: Option<&TraceContext>, link: Option<&TraceContext>, must: bool) -> Self {
        let (kind, verb) = match operation {
            Operation::Receive => (SpanKind::Consumer, "receive"),
            Operation::Process => (SpanKind::Consumer, "process"),
            Operation::Publish => (SpanKind::Producer, "publish"),
        };
        let tracer = global::tracer_provider().tracer("fieldwatch");
        let mut attributes =
            vec![KeyValue::new("messaging.operation.type", verb), KeyValue::new("messaging.destination.name", destination.to_owned())];
        if must {
            attributes.push(KeyValue::new(MUST_SAMPLE, true));
        }
        let builder = tracer
            .span_builder(format!("{verb} {destination}"))
            .with_kind(kind)
            .with_attributes(attributes)
            .with_links(link.map(|context| Link::with_context(to_otel(context))).into_iter().collect());
        let parent = parent.map_or_else(Context::new, |context| Context::new().with_remote_span_context(to_otel(context)));
        let span = tracer.build_with_context(builder, &parent);
        Self { context: Context::new().with_span(span) }
    }

    /// The context to send along with what this span produces; `None` before telemetry is set up.
    pub fn context(&self) -> Option<TraceContext> {
        let span = self.context.span();
        let context = span.span_context();
        context.is_valid().then(|| TraceContext {
            trace_id: u128::from_be_bytes(context.trace_id().to_bytes()),
            span_id: u64::from_be_bytes(context.span_id().to_bytes()),
            sampled: context.is_sampled(),
            state: Some(context.trace_state().header()).filter(|state| !state.is_empty()),
        })
    }

    /// Records an attribute, e.g. `messaging.message.id`.
    pub fn set(&self, key: &'static str, value: impl Into<opentelemetry::Value>) {
        self.context.span().set_attribute(KeyValue::new(key, value));
    }

    /// Marks the span failed.
    pub fn fail(&self, reason: &str) {
        self.context.span().set_status(Status::error(reason.to_owned()));
    }
}

impl Drop for MessageSpan {
    fn drop(&mut self) {
        self.context.span().end();
    }
}

fn to_otel(context: &TraceContext) -> SpanContext {
    let flags = if context.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let state = context.state.as_deref().and_then(|state| state.parse::<TraceState>().ok()).unwrap_or_default();
    SpanContext::new(TraceId::from(context.trace_id), SpanId::from(context.span_id), flags, true, state)
}
