//! Parents decide; roots are sampled by ratio; what must be seen (alerts, anomalies, dead letters) always is.

use opentelemetry::trace::{Link, SpanKind, TraceContextExt, TraceId};
use opentelemetry::{Context, Key, KeyValue, Value};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, ShouldSample};

/// Attribute that makes a root span sampled whatever the ratio.
pub(crate) const MUST_SAMPLE: Key = Key::from_static_str("fieldwatch.must_sample");

#[derive(Clone, Debug)]
pub(crate) struct MustOrRatio {
    ratio: Sampler,
}

impl MustOrRatio {
    pub(crate) fn new(ratio: f64) -> Self {
        Self { ratio: Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio))) }
    }
}

impl ShouldSample for MustOrRatio {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let has_parent = parent.is_some_and(|context| context.span().span_context().is_valid());
        let must = attributes.iter().any(|attribute| attribute.key == MUST_SAMPLE && attribute.value == Value::Bool(true));
        let mut result = self.ratio.should_sample(parent, trace_id, name, kind, attributes, links);
        if must && !has_parent {
            result.decision = SamplingDecision::RecordAndSample;
        }
        result
    }
}
