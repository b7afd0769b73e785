use std::fmt::Display;
use std::str::FromStr;

use events::DEFAULT_TENANT;
use serde::Deserialize;
use service::Mistake;

use crate::codec;
use crate::domain::{Decode, Limits, MAIN_CONNECTION, Metric, Metrics, Place, Route, Routes, Shape, TopicFilter};

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    pub name: String,
    pub filter: String,
    pub payload: PayloadKind,
    pub device: String,
    #[serde(default = "default_tenant")]
    pub tenant: String,
    #[serde(default = "default_group")]
    pub group: String,
    #[serde(default = "default_time")]
    pub time: String,
    #[serde(default = "default_sequence")]
    pub sequence: String,
    #[serde(default = "default_connection")]
    pub connection: String,
    #[serde(default)]
    pub metric: Option<String>,
    #[serde(default)]
    pub value: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PayloadKind {
    Value,
    Metrics,
    Status,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricConfig {
    pub name: String,
    pub unit: String,
    #[serde(default = "lowest")]
    pub min: f64,
    #[serde(default = "highest")]
    pub max: f64,
}

fn default_tenant() -> String {
    DEFAULT_TENANT.into()
}

fn default_connection() -> String {
    MAIN_CONNECTION.into()
}

fn default_group() -> String {
    "payload:group".into()
}

fn default_time() -> String {
    "payload:timestamp".into()
}

fn default_sequence() -> String {
    "payload:seq".into()
}

fn lowest() -> f64 {
    f64::MIN
}

fn highest() -> f64 {
    f64::MAX
}

/// Builds all routes, or names every mistake in them.
pub(super) fn build(routes: &[RouteConfig], metrics: &[MetricConfig], limits: Limits) -> Result<Routes, Vec<Mistake>> {
    let mut mistakes = Mistakes::default();
    if routes.is_empty() {
        mistakes.note("routes", "there has to be one");
    }
    for (index, metric) in metrics.iter().enumerate() {
        if metric.min.is_nan() || metric.max.is_nan() || metric.min > metric.max {
            mistakes.note(format!("metrics.{index}.max"), "has to be at least min");
        }
        if metrics[..index].iter().any(|other| other.name == metric.name) {
            mistakes.note(format!("metrics.{index}.name"), "stands there twice");
        }
    }
    let built = routes.iter().enumerate().filter_map(|(index, config)| mistakes.route(index, config)).collect();
    if !mistakes.0.is_empty() {
        return Err(mistakes.0);
    }
    let known = |metric: &MetricConfig| {
        let MetricConfig { name, unit, min, max } = metric.clone();
        Metric { name, unit, min, max }
    };
    Ok(Routes::new(built, Metrics::new(metrics.iter().map(known).collect()), limits))
}

#[derive(Default)]
struct Mistakes(Vec<Mistake>);

impl Mistakes {
    fn note(&mut self, key: impl Into<String>, problem: impl Display) {
        self.0.push(Mistake::new(key, problem.to_string()));
    }

    fn read<T: FromStr<Err: Display>>(&mut self, index: usize, key: &str, text: &str) -> Option<T> {
        text.parse().map_err(|problem| self.note(format!("routes.{index}.{key}"), format!("`{text}` {problem}"))).ok()
    }

    fn route(&mut self, index: usize, config: &RouteConfig) -> Option<Route> {
        let filter: Option<TopicFilter> = self.read(index, "filter", &config.filter);
        let tenant: Option<Place> = self.read(index, "tenant", &config.tenant);
        let device: Option<Place> = self.read(index, "device", &config.device);
        let group: Option<Place> = self.read(index, "group", &config.group);
        let time: Option<Place> = self.read(index, "time", &config.time);
        let sequence: Option<Place> = self.read(index, "sequence", &config.sequence);
        if matches!(tenant, Some(Place::Payload(_))) {
            self.note(format!("routes.{index}.tenant"), "must not be of the payload: a device would choose its tenant");
        }
        for (key, place) in [("time", &time), ("sequence", &sequence)] {
            if place.as_ref().is_some_and(|place| place.member().is_none()) {
                self.note(format!("routes.{index}.{key}"), "has to be payload:NAME");
            }
        }
        // It names a session and a folder.
        if config.connection.is_empty() || !config.connection.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            self.note(format!("routes.{index}.connection"), "has to be letters, digits and `-`");
        }
        let shape = self.shape(index, config);
        let decode: Decode = match config.payload {
            PayloadKind::Value | PayloadKind::Metrics => codec::json,
            PayloadKind::Status => codec::text_or_json,
        };
        let name = config.name.clone();
        Some(Route {
            name,
            connection: config.connection.clone(),
            decode,
            filter: filter?,
            tenant: tenant?,
            device: device?,
            group: group?,
            time: time?,
            sequence: sequence?,
            shape: shape?,
        })
    }

    fn shape(&mut self, index: usize, config: &RouteConfig) -> Option<Shape> {
        let (metric, value) = (config.metric.as_deref(), config.value.as_deref());
        match config.payload {
            PayloadKind::Value => {
                let Some(metric) = metric else {
                    self.note(format!("routes.{index}.metric"), "is missing: a value route measures one metric");
                    return None;
                };
                let value: Place = self.read(index, "value", value.unwrap_or(&format!("payload:{metric}")))?;
                if value.member().is_none() {
                    self.note(format!("routes.{index}.value"), "has to be payload:NAME");
                }
                Some(Shape::Value { metric: metric.to_owned(), value })
            }
            kind => {
                if metric.or(value).is_some() {
                    self.note(format!("routes.{index}"), "metric and value are for payload = \"value\"");
                }
                Some(if kind == PayloadKind::Metrics { Shape::Metrics } else { Shape::Status })
            }
        }
    }
}
