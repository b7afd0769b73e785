//! Logs, traces and metrics, set up once for every service.
//!
//! Guarantees: one trace follows a message from hop to hop; metric names come from `metrics.yaml` only; what was
//! recorded is flushed when [`Guard`] drops. Refuses: label values without bound (device ids, MQTT topics).

mod config;
mod logs;
pub mod metrics;
mod sampler;
pub mod span;
mod traces;

pub use config::{LogConfig, LogFormat, TelemetryConfig};
pub use traces::TracesUnavailable;

/// Flushes what is still unsent when dropped. Hold it for the life of `main`.
#[must_use = "dropping the guard ends telemetry"]
pub struct Guard {
    traces: Option<opentelemetry_sdk::trace::SdkTracerProvider>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(traces) = &self.traces
            && let Err(error) = traces.shutdown_with_timeout(std::time::Duration::from_secs(3))
        {
            tracing::warn!(%error, "spans may be lost");
        }
    }
}

/// Starts logs and traces for `service`. Call once, before anything is logged.
pub fn init(service: &'static str, config: &TelemetryConfig, log: &LogConfig) -> Result<Guard, TracesUnavailable> {
    logs::init(log);
    Ok(Guard { traces: traces::init(service, config)? })
}
