use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use events::DEFAULT_TENANT;
use serde::Deserialize;
use service::Mistake;

use crate::codec;
use crate::domain::{Conversion, Decode, Each, Limits, MAIN_CONNECTION, Metric, Metrics, Place, Route, Routes, Shape, TopicFilter};

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
    #[serde(default)]
    pub each: Option<String>,
    #[serde(default)]
    pub units: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PayloadKind {
    Value,
    Number,
    Metrics,
    Status,
    State,
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
    let built = routes.iter().enumerate().filter_map(|(index, config)| mistakes.route(index, config, metrics)).collect();
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

    fn route(&mut self, index: usize, config: &RouteConfig, metrics: &[MetricConfig]) -> Option<Route> {
        let filter: Option<TopicFilter> = self.read(index, "filter", &config.filter);
        let tenant: Option<Place> = self.read(index, "tenant", &config.tenant);
        let device: Option<Place> = self.read(index, "device", &config.device);
        let group: Option<Place> = self.read(index, "group", &config.group);
        let time: Option<Place> = self.read(index, "time", &config.time);
        let sequence: Option<Place> = self.read(index, "sequence", &config.sequence);
        if tenant.as_ref().is_some_and(|tenant| tenant.members().next().is_some()) {
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
        let conversions = self.conversions(index, config, metrics);
        let each = config.each.as_deref().map(|each| match each {
            "payload" => Each::Payload,
            member => Each::Member(member.strip_prefix("payload:").unwrap_or(member).to_owned()),
        });
        let nested = each.is_some() || {
            let value = if let Some(Shape::Value { value, .. }) = &shape { Some(value) } else { None };
            [&device, &group, &time, &sequence].into_iter().flatten().chain(value).any(Place::is_nested)
        };
        let decode: Decode = match config.payload {
            PayloadKind::Value | PayloadKind::Metrics | PayloadKind::State if nested => codec::nested_json,
            PayloadKind::Value | PayloadKind::Metrics | PayloadKind::State => codec::json,
            PayloadKind::Number => codec::number,
            PayloadKind::Status => codec::text_or_json,
        };
        if each.is_some() && !matches!(config.payload, PayloadKind::Value | PayloadKind::Metrics) {
            self.note(format!("routes.{index}.each"), "is for payload = \"value\" and \"metrics\"");
        }
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
            each,
            conversions,
        })
    }

    fn conversions(&mut self, index: usize, config: &RouteConfig, metrics: &[MetricConfig]) -> Vec<(String, Conversion)> {
        let mut conversions = Vec::new();
        for (metric, from) in &config.units {
            let known = metrics.iter().find(|known| known.name == *metric);
            match known.map(|known| (Conversion::between(from, &known.unit), &known.unit)) {
                Some((Some(conversion), _)) => conversions.push((metric.clone(), conversion)),
                Some((None, to)) => {
                    self.note(format!("routes.{index}.units.{metric}"), format!("it is not known how `{from}` becomes `{to}`"));
                }
                None => self.note(format!("routes.{index}.units.{metric}"), "is not among the metrics"),
            }
        }
        conversions
    }

    fn shape(&mut self, index: usize, config: &RouteConfig) -> Option<Shape> {
        let (metric, value) = (config.metric.as_deref(), config.value.as_deref());
        match config.payload {
            kind @ (PayloadKind::Value | PayloadKind::Number) => {
                let Some(name) = metric else {
                    self.note(format!("routes.{index}.metric"), "is missing: a value route measures one metric");
                    return None;
                };
                let metric: Place = self.read(index, "metric", name)?;
                let usual = if kind == PayloadKind::Number { "payload:value".to_owned() } else { format!("payload:{name}") };
                let value: Place = self.read(index, "value", value.unwrap_or(&usual))?;
                if value.member().is_none() {
                    self.note(format!("routes.{index}.value"), "has to be payload:NAME");
                }
                Some(Shape::Value { metric, value })
            }
            kind => {
                if metric.or(value).is_some() {
                    self.note(format!("routes.{index}"), "metric and value are for payload = \"value\" and \"number\"");
                }
                Some(match kind {
                    PayloadKind::Status => Shape::Status,
                    PayloadKind::State => Shape::State,
                    PayloadKind::Metrics | PayloadKind::Value | PayloadKind::Number => Shape::Metrics,
                })
            }
        }
    }
}
