//! The tracer provider: OTLP over HTTP, batched on its own thread.

use opentelemetry::{KeyValue, global};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;

use crate::TelemetryConfig;
use crate::sampler::MustOrRatio;

#[derive(Debug, thiserror::Error)]
#[error("traces cannot be exported to `{endpoint}`: {source}")]
pub struct TracesUnavailable {
    endpoint: String,
    source: opentelemetry_otlp::ExporterBuildError,
}

/// Spans get ids even when nothing is exported, so that logs and notifications can name a trace.
pub(crate) fn init(service: &'static str, config: &TelemetryConfig) -> Result<Option<SdkTracerProvider>, TracesUnavailable> {
    let resource = Resource::builder()
        .with_service_name(service)
        .with_attribute(KeyValue::new("service.namespace", "fieldwatch"))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let builder = SdkTracerProvider::builder().with_resource(resource).with_sampler(MustOrRatio::new(config.sample_ratio));
    let builder = match exporter(config)? {
        Some(exporter) => builder.with_batch_exporter(exporter),
        None => builder,
    };
    let provider = builder.build();
    global::set_tracer_provider(provider.clone());
    Ok(Some(provider))
}

fn exporter(config: &TelemetryConfig) -> Result<Option<SpanExporter>, TracesUnavailable> {
    let configured = config.otlp_endpoint.trim_end_matches('/');
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let from_env = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"].into_iter().any(set);
    let builder = SpanExporter::builder().with_http();
    let built = if !configured.is_empty() {
        builder.with_endpoint(format!("{configured}/v1/traces")).build()
    } else if from_env {
        builder.build()
    } else {
        return Ok(None);
    };
    built.map(Some).map_err(|source| TracesUnavailable { endpoint: config.otlp_endpoint.clone(), source })
}
