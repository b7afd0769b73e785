//! A file of tests as people write it.

use events::{AlertReason, AlertState, DEFAULT_TENANT, Labels, Reading, Severity, Timestamp, UNIT_CELSIUS};
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::notation::values;
use crate::language::{Mistake, Rule, duration};

/// A Monday; the time every test begins at that names no other.
const START: &str = "2026-01-05T00:00:00Z";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// The rules themselves …
    pub(super) rules: Option<Vec<Rule>>,
    pub(super) forget_after: Option<Spanned<String>>,
    /// … or where they are, seen from this file.
    #[serde(rename = "rules_file")]
    pub(super) elsewhere: Option<String>,
    pub(super) tests: Vec<Test>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Test {
    name: String,
    start: Option<Spanned<String>>,
    series: Vec<Series>,
    /// Time goes on to here after the last reading.
    until: Option<Spanned<String>>,
    expect: Vec<Expected>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Series {
    device: String,
    tenant: Option<String>,
    metric: Option<String>,
    group: Option<String>,
    unit: Option<String>,
    #[serde(default)]
    attributes: Labels,
    /// First reading, after the test's start.
    from: Option<Spanned<String>>,
    every: Option<Spanned<String>>,
    values: Option<Spanned<String>>,
    /// Readings one by one instead of `every` and `values`.
    #[serde(default)]
    readings: Vec<One>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct One {
    at: Spanned<String>,
    value: f64,
    /// `at` when absent.
    received: Option<Spanned<String>>,
    sequence: Option<i64>,
    #[serde(default)]
    attributes: Labels,
}

/// An alert, as far as it matters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expected {
    at: Spanned<String>,
    pub(super) state: AlertState,
    pub(super) device: Option<String>,
    pub(super) rule: Option<String>,
    pub(super) severity: Option<Severity>,
    pub(super) reason: Option<AlertReason>,
    pub(super) value: Option<f64>,
    pub(super) threshold: Option<f64>,
    started: Option<Spanned<String>>,
    /// How many readings it names.
    pub(super) evidence: Option<usize>,
    pub(super) summary: Option<String>,
    pub(super) labels: Option<Labels>,
    pub(super) runbook_url: Option<String>,
    #[serde(skip)]
    pub(super) changed_at: Timestamp,
    #[serde(skip)]
    pub(super) started_at: Option<Timestamp>,
}

/// A test ready to run.
pub(super) struct Prepared {
    pub(super) name: String,
    pub(super) start: Timestamp,
    /// In the order of reception.
    pub(super) readings: Vec<Reading>,
    pub(super) until: Option<Timestamp>,
    pub(super) expected: Vec<Expected>,
}

impl Test {
    pub(super) fn prepare(self) -> Result<Prepared, Mistake> {
        let start = match &self.start {
            None => Timestamp::from_rfc3339(START).unwrap_or_default(),
            Some(text) => {
                let problem = || Mistake::at(text.referenced, format!("`{}` is no time: write {START}", text.value));
                Timestamp::from_rfc3339(&text.value).ok_or_else(problem)?
            }
        };
        let mut readings = Vec::new();
        for series in &self.series {
            series.append(start, &mut readings)?;
        }
        readings.sort_by_key(|reading| reading.received_at);
        let until = self.until.as_ref().map(|until| after(start, until)).transpose()?;
        let mut expected = self.expect;
        for alert in &mut expected {
            alert.changed_at = after(start, &alert.at)?;
            alert.started_at = alert.started.as_ref().map(|started| after(start, started)).transpose()?;
        }
        Ok(Prepared { name: self.name, start, readings, until, expected })
    }
}

impl Series {
    fn append(&self, start: Timestamp, readings: &mut Vec<Reading>) -> Result<(), Mistake> {
        let reading = |at: Timestamp, value: f64| Reading {
            tenant: self.tenant.clone().unwrap_or_else(|| DEFAULT_TENANT.to_owned()),
            device_id: self.device.clone(),
            group_id: self.group.clone(),
            metric: self.metric.clone().unwrap_or_else(|| "temperature".to_owned()),
            value,
            unit: self.unit.clone().unwrap_or_else(|| UNIT_CELSIUS.to_owned()),
            measured_at: at,
            received_at: at,
            sequence: None,
            attributes: self.attributes.clone(),
        };
        let first = self.from.as_ref().map_or(Ok(start), |from| after(start, from))?;
        if let (Some(every), Some(text)) = (&self.every, &self.values) {
            let step = duration(&every.value).map_err(|problem| Mistake::at(every.referenced, problem))?;
            let values = values(&text.value).map_err(|problem| Mistake::at(text.referenced, problem))?;
            let at = |number: usize| first.saturating_add(step * number as u32);
            readings.extend(values.into_iter().enumerate().filter_map(|(number, value)| Some(reading(at(number), value?))));
        }
        for one in &self.readings {
            let mut reading = reading(after(start, &one.at)?, one.value);
            reading.received_at = one.received.as_ref().map_or(Ok(reading.measured_at), |received| after(start, received))?;
            reading.sequence = one.sequence;
            reading.attributes.extend(one.attributes.clone());
            readings.push(reading);
        }
        Ok(())
    }
}

/// `0`, `5m` after the start, or a time of its own.
fn after(start: Timestamp, text: &Spanned<String>) -> Result<Timestamp, Mistake> {
    if text.value == "0" {
        return Ok(start);
    }
    if let Some(at) = Timestamp::from_rfc3339(&text.value) {
        return Ok(at);
    }
    let after = duration(&text.value).map_err(|problem| Mistake::at(text.referenced, problem))?;
    Ok(start.saturating_add(after))
}
