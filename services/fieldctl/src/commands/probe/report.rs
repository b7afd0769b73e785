//! What the probe found.

use std::time::Duration;

use events::Timestamp;
use serde_json::json;

use crate::domain::percentile::Percentiles;
use crate::output::Output;
use crate::{FAILURE, SUCCESS};

/// Missing alerts that are named; more help nobody.
const NAMED: usize = 5;

pub(crate) struct Report {
    pub(crate) run: String,
    pub(crate) readings: usize,
    pub(crate) alerts: usize,
    /// Publishing.
    pub(crate) took: Duration,
    pub(crate) latencies: Vec<Duration>,
    pub(crate) missing: Vec<(String, Timestamp)>,
    pub(crate) gaps: u64,
    pub(crate) reconnects: u64,
}

impl Report {
    pub(crate) fn status(&self) -> u8 {
        if self.missing.is_empty() { SUCCESS } else { FAILURE }
    }

    pub(crate) fn print(&self, as_json: bool, out: &mut Output<'_>) -> anyhow::Result<()> {
        let millis = |duration: Duration| (duration.as_secs_f64() * 1e4).round() / 10.0;
        let percentiles = Percentiles::of(self.latencies.clone());
        if as_json {
            let latency =
                percentiles.map(|of| json!({"p50": millis(of.p50), "p99": millis(of.p99), "p999": millis(of.p999), "max": millis(of.max)}));
            return Ok(out.json(&json!({
                "run": self.run, "readings": self.readings, "alerts": self.alerts, "seconds": self.took.as_secs_f64(),
                "seen": self.latencies.len(), "missing": self.missing.len(), "publish_to_sse_ms": latency,
                "gaps": self.gaps, "reconnects": self.reconnects,
            }))?);
        }
        let seconds = self.took.as_secs_f64();
        out.line(format_args!("{} readings in {seconds:.1} s ({:.0} a second)", self.readings, self.readings as f64 / seconds))?;
        out.line(format_args!("{} of {} alerts seen, {} missing", self.latencies.len(), self.alerts, self.missing.len()))?;
        for (device, at) in self.missing.iter().take(NAMED) {
            out.line(format_args!("  missing: {device} at {at}"))?;
        }
        if self.gaps + self.reconnects > 0 {
            out.line(format_args!("the stream told of {} gaps and was opened again {} times", self.gaps, self.reconnects))?;
        }
        if let Some(Percentiles { p50, p99, p999, max }) = percentiles {
            let [p50, p99, p999, max] = [p50, p99, p999, max].map(millis);
            out.line(format_args!("publish to SSE: p50 {p50} ms, p99 {p99} ms, p99.9 {p999} ms, max {max} ms"))?;
        }
        Ok(())
    }
}
