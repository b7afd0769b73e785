//! What was expected beside what was announced, as lines a person can read.

use std::cmp::Ordering;
use std::fmt;

use events::{TemperatureAlert, Timestamp};

use super::document::Expected;
use crate::domain::Span;

/// One line of the difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    Same(String),
    /// Expected, and not announced.
    Missing(String),
    /// Announced, and not expected.
    Unexpected(String),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same(line) => write!(f, "  {line}"),
            Self::Missing(line) => write!(f, "- {line}"),
            Self::Unexpected(line) => write!(f, "+ {line}"),
        }
    }
}

/// Nothing when all is as expected; else every alert, in order of time.
pub(super) fn compare(expected: &[Expected], announced: &[TemperatureAlert], start: Timestamp) -> Vec<Difference> {
    let mut left: Vec<&TemperatureAlert> = announced.iter().collect();
    let mut lines = Vec::new();
    for wanted in expected {
        match left.iter().position(|alert| wanted.is(alert)) {
            Some(found) => {
                let alert = left.remove(found);
                lines.push((alert.changed_at, Difference::Same(of_alert(alert, start))));
            }
            None => lines.push((wanted.changed_at, Difference::Missing(wanted.line(start)))),
        }
    }
    lines.extend(left.iter().map(|alert| (alert.changed_at, Difference::Unexpected(of_alert(alert, start)))));
    lines.sort_by_key(|(at, _)| *at);
    let lines: Vec<Difference> = lines.into_iter().map(|(_, line)| line).collect();
    if lines.iter().all(|line| matches!(line, Difference::Same(_))) { Vec::new() } else { lines }
}

impl Expected {
    fn is(&self, alert: &TemperatureAlert) -> bool {
        fn says<T: PartialEq>(wanted: Option<&T>, found: &T) -> bool {
            wanted.is_none_or(|wanted| wanted == found)
        }
        self.changed_at == alert.changed_at
            && self.state == alert.state
            && says(self.device.as_ref(), &alert.device_id)
            && says(self.rule.as_ref(), &alert.rule_id)
            && says(self.severity.as_ref(), &alert.severity)
            && says(self.reason.as_ref(), &alert.reason)
            && says(self.started_at.as_ref(), &alert.started_at)
            && says(self.evidence.as_ref(), &alert.evidence.len())
            && says(self.summary.as_ref(), &alert.summary)
            && says(self.labels.as_ref(), &alert.labels)
            && (self.value.is_none() || self.value == alert.value)
            && (self.threshold.is_none() || self.threshold == alert.threshold)
            && (self.runbook_url.is_none() || self.runbook_url == alert.runbook_url)
    }

    fn line(&self, start: Timestamp) -> String {
        let mut line = format!("{} {:?}", offset(self.changed_at, start), self.state);
        let mut say = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                line.extend([" ", name, "=", &value]);
            }
        };
        say("device", self.device.clone());
        say("rule", self.rule.clone());
        say("severity", self.severity.map(|severity| format!("{severity:?}")));
        say("reason", self.reason.map(|reason| format!("{reason:?}")));
        say("value", self.value.map(|value| value.to_string()));
        say("threshold", self.threshold.map(|value| value.to_string()));
        say("started", self.started_at.map(|at| offset(at, start)));
        say("evidence", self.evidence.map(|readings| readings.to_string()));
        say("labels", self.labels.as_ref().map(|labels| format!("{labels:?}")));
        say("runbook_url", self.runbook_url.clone());
        say("summary", self.summary.as_ref().map(|summary| format!("{summary:?}")));
        line
    }
}

fn of_alert(alert: &TemperatureAlert, start: Timestamp) -> String {
    let TemperatureAlert { device_id, rule_id, state, severity, reason, value, threshold, started_at, evidence, summary, .. } = alert;
    let number = |value: &Option<f64>| value.map_or_else(|| "none".to_owned(), |value| value.to_string());
    format!(
        "{} {state:?} device={device_id} rule={rule_id} severity={severity:?} reason={reason:?} value={} threshold={} started={} \
         evidence={} labels={:?} summary={summary:?}",
        offset(alert.changed_at, start),
        number(value),
        number(threshold),
        offset(*started_at, start),
        evidence.len(),
        alert.labels,
    )
}

fn offset(at: Timestamp, start: Timestamp) -> String {
    match at.cmp(&start) {
        Ordering::Less => at.to_string(),
        Ordering::Equal => "0".to_owned(),
        Ordering::Greater => Span(at.since(start)).to_string(),
    }
}
