//! Metrics by name; the names, kinds and labels stand in `metrics.yaml`.
//!
//! A handle is an atomic behind an `Arc`: look it up once, keep it on the hot path.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::registry::Registry;
use serde::Deserialize;

pub use prometheus_client::metrics::{counter::Counter, gauge::Gauge, histogram::Histogram};

/// A gauge of fractions.
pub type GaugeF64 = Gauge<f64, AtomicU64>;
type CounterF64 = Counter<f64, AtomicU64>;
type LabelSet = Vec<(String, String)>;

const FILE: &str = include_str!("../metrics.yaml");

/// 0.5 ms to 33 s, doubling.
const SECONDS: [f64; 17] =
    [0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384, 32.768];

#[derive(Deserialize)]
struct Declared {
    name: String,
    r#type: Kind,
    labels: Vec<String>,
    help: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Counter,
    CounterF64,
    Gauge,
    Histogram,
}

#[derive(Clone)]
struct Seconds;

impl MetricConstructor<Histogram> for Seconds {
    fn new_metric(&self) -> Histogram {
        Histogram::new(SECONDS)
    }
}

enum Metric {
    Counter(Family<LabelSet, Counter>),
    CounterF64(Family<LabelSet, CounterF64>),
    Gauge(Family<LabelSet, GaugeF64>),
    Histogram(Family<LabelSet, Histogram, Seconds>),
}

struct Metrics {
    registry: Registry,
    by_name: HashMap<String, (Metric, Vec<String>)>,
}

static METRICS: LazyLock<Mutex<Metrics>> = LazyLock::new(|| Mutex::new(Metrics::declare()));

impl Metrics {
    fn declare() -> Self {
        let declared: Vec<Declared> = serde_norway::from_str(FILE).unwrap_or_default();
        let mut registry = Registry::default();
        let mut by_name = HashMap::new();
        for Declared { name, r#type, labels, help } in declared {
            let help = help.trim_end_matches('.').to_owned();
            let metric = match r#type {
                Kind::Counter => {
                    let family = Family::default();
                    registry.register(&name, help, family.clone());
                    Metric::Counter(family)
                }
                Kind::CounterF64 => {
                    let family = Family::default();
                    registry.register(&name, help, family.clone());
                    Metric::CounterF64(family)
                }
                Kind::Gauge => {
                    let family = Family::default();
                    registry.register(&name, help, family.clone());
                    Metric::Gauge(family)
                }
                Kind::Histogram => {
                    let family = Family::new_with_constructor(Seconds);
                    registry.register(&name, help, family.clone());
                    Metric::Histogram(family)
                }
            };
            by_name.insert(name, (metric, labels));
        }
        Self { registry, by_name }
    }
}

/// Looks a metric up. A name, kind or label that `metrics.yaml` does not declare is a mistake in the program: it fails
/// a debug build; a release logs it and counts into nothing.
fn find<M>(name: &str, labels: &[(&str, &str)], pick: impl Fn(&Metric, &LabelSet) -> Option<M>) -> Option<M> {
    let metrics = METRICS.lock().unwrap_or_else(PoisonError::into_inner);
    let found =
        metrics.by_name.get(name).filter(|(_, names)| names.iter().eq(labels.iter().map(|(name, _)| name))).and_then(|(metric, _)| {
            let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            pick(metric, &labels)
        });
    debug_assert!(found.is_some(), "metrics.yaml does not declare {name} with {labels:?}");
    if found.is_none() {
        tracing::error!(name, ?labels, "not declared in metrics.yaml");
    }
    found
}

pub fn counter(name: &str, labels: &[(&str, &str)]) -> Counter {
    find(name, labels, |metric, labels| match metric {
        Metric::Counter(family) => Some(family.get_or_create_owned(labels)),
        _ => None,
    })
    .unwrap_or_default()
}

pub fn gauge(name: &str, labels: &[(&str, &str)]) -> GaugeF64 {
    find(name, labels, |metric, labels| match metric {
        Metric::Gauge(family) => Some(family.get_or_create_owned(labels)),
        _ => None,
    })
    .unwrap_or_default()
}

/// A histogram of seconds.
pub fn histogram(name: &str, labels: &[(&str, &str)]) -> Histogram {
    find(name, labels, |metric, labels| match metric {
        Metric::Histogram(family) => Some(family.get_or_create_owned(labels)),
        _ => None,
    })
    .unwrap_or_else(|| Histogram::new(SECONDS))
}

/// All metrics in the `OpenMetrics` text format.
pub fn render() -> String {
    record_process();
    let metrics = METRICS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut text = String::new();
    if encode(&mut text, &metrics.registry).is_err() {
        text.clear();
    }
    text
}

/// CPU and memory from `/proc/self/stat`, in clock ticks (100 a second on Linux) and pages of 4 KiB.
fn record_process() {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else { return };
    let Some((_, after_name)) = stat.rsplit_once(") ") else { return };
    let field = |number: usize| after_name.split(' ').nth(number - 3).and_then(|field| field.parse::<f64>().ok());
    if let (Some(user), Some(system), Some(pages)) = (field(14), field(15), field(24)) {
        gauge("fieldwatch_process_resident_memory_bytes", &[]).set(pages * 4096.0);
        let total = find("fieldwatch_process_cpu_seconds", &[], |metric, labels| match metric {
            Metric::CounterF64(family) => Some(family.get_or_create_owned(labels)),
            _ => None,
        });
        if let Some(total) = total {
            total.inner().store(((user + system) / 100.0).to_bits(), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn every_declared_metric_is_exposed_under_its_name() {
        counter("fieldwatch_messages_in", &[("topic", "t")]).inc();
        histogram("fieldwatch_processing_seconds", &[("stage", "s")]).observe(0.003);
        let declared: Vec<Declared> = serde_norway::from_str(FILE).unwrap();
        for metric in &declared {
            let labels: Vec<_> = metric.labels.iter().map(|label| (label.as_str(), "x")).collect();
            match metric.r#type {
                Kind::Counter => drop(counter(&metric.name, &labels)),
                Kind::CounterF64 => {}
                Kind::Gauge => drop(gauge(&metric.name, &labels)),
                Kind::Histogram => drop(histogram(&metric.name, &labels)),
            }
        }
        let text = render();
        assert!(text.contains("fieldwatch_messages_in_total{topic=\"t\"} 1"), "{text}");
        assert!(text.contains("fieldwatch_processing_seconds_bucket{le=\"0.004\",stage=\"s\"} 1"), "{text}");
        for metric in declared {
            assert!(text.contains(&format!("# TYPE {}", metric.name)), "{}", metric.name);
        }
    }

    #[test]
    fn the_page_of_metrics_is_current() {
        let mut page = String::from(
            "# Metrics\n\nMade of metrics.yaml by the tests of this crate. A histogram has the suffixes `_bucket`, `_sum` and `_count`.\n\n",
        );
        page.push_str("| Name | Type | Labels | Says |\n|---|---|---|---|\n");
        for Declared { name, r#type, labels, help } in serde_norway::from_str::<Vec<Declared>>(FILE).unwrap() {
            let (suffix, kind) = match r#type {
                Kind::Counter | Kind::CounterF64 => ("_total", "counter"),
                Kind::Gauge => ("", "gauge"),
                Kind::Histogram => ("", "histogram"),
            };
            writeln!(page, "| `{name}{suffix}` | {kind} | {} | {help} |", labels.join(", ")).unwrap();
        }
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/METRICS.md");
        let current = std::fs::read_to_string(file).is_ok_and(|committed| committed == page);
        if !current {
            std::fs::write(file, &page).unwrap();
        }
        assert!(current, "METRICS.md was not what metrics.yaml says; it is now: look at it and commit it");
    }

    #[test]
    #[should_panic(expected = "does not declare fieldwatch_messages_in")]
    fn a_label_that_is_not_declared_is_a_mistake() {
        counter("fieldwatch_messages_in", &[("device_id", "sensor-01")]).inc();
    }
}
