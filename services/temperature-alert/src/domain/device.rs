//! One device's alerts, and how a reading moves them: one FIRING and one RESOLVED per excursion.

use std::collections::BTreeMap;

use events::{AlertReason, AlertState, Arrival, Evidence, Reading, TemperatureAlert, Timestamp, identity};
use serde::{Deserialize, Serialize};

use super::rules::{Rule, Rules};

/// What is kept of a device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Device {
    metrics: BTreeMap<String, Metric>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Metric {
    seen: events::SeenReadings,
    /// Firing alerts by rule.
    firing: BTreeMap<String, Firing>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Firing {
    started_at: Timestamp,
}

impl Device {
    /// Takes a reading; changes of alerts go to `announce`, in the order of the rules.
    pub fn take(&mut self, reading: &Reading, rules: &Rules, mut announce: impl FnMut(TemperatureAlert)) -> Arrival {
        let metric = self.metrics.entry(reading.metric.clone()).or_default();
        let arrival = metric.seen.arrive(reading);
        if arrival != Arrival::New || !reading.is_fresh() {
            return arrival;
        }
        for (rule, version) in rules.of_metric(&reading.metric) {
            let firing = metric.firing.get(&rule.id);
            if firing.is_none() && reading.value > rule.above {
                announce(alert(rule, version, reading, AlertState::Firing, reading.measured_at));
                metric.firing.insert(rule.id.clone(), Firing { started_at: reading.measured_at });
            } else if let Some(Firing { started_at }) = firing
                && reading.value <= rule.clear_threshold()
            {
                announce(alert(rule, version, reading, AlertState::Resolved, *started_at));
                metric.firing.remove(&rule.id);
            }
        }
        arrival
    }
}

fn alert(rule: &Rule, version: &str, reading: &Reading, state: AlertState, started_at: Timestamp) -> TemperatureAlert {
    let Reading { tenant, device_id, group_id, metric, value, unit, measured_at, .. } = reading;
    let (reason, verdict, limit) = match state {
        AlertState::Resolved => (AlertReason::Cleared, "is back at or below", rule.clear_threshold()),
        _ => (AlertReason::Crossed, "is above", rule.above),
    };
    TemperatureAlert {
        tenant: tenant.clone(),
        alert_id: identity::excursion_id("alert", tenant, &rule.id, device_id, metric, started_at).to_string(),
        rule_id: rule.id.clone(),
        rule_version: version.to_owned(),
        device_id: device_id.clone(),
        group_id: group_id.clone(),
        state,
        severity: rule.severity,
        reason,
        metric: metric.clone(),
        value: Some(*value),
        unit: unit.clone(),
        threshold: Some(rule.above),
        clear_threshold: Some(rule.clear_threshold()),
        evidence: vec![Evidence { at: *measured_at, value: *value }],
        started_at,
        changed_at: *measured_at,
        summary: format!("{device_id}: {metric} {value} {unit} {verdict} {limit} {unit}"),
        labels: rule.labels.clone(),
        runbook_url: rule.runbook_url.clone(),
    }
}

#[cfg(test)]
mod tests {
    use events::{Labels, Severity};

    use super::*;

    fn rules() -> Rules {
        Rules::parse(include_str!("../rules.yaml")).unwrap()
    }

    fn reading(at: i64, value: f64) -> Reading {
        Reading {
            tenant: "default".into(),
            device_id: "sensor-01".into(),
            group_id: None,
            metric: "temperature".into(),
            value,
            unit: "Cel".into(),
            measured_at: Timestamp::from_micros(at),
            received_at: Timestamp::from_micros(at),
            sequence: None,
            attributes: Labels::new(),
        }
    }

    /// States announced for a series of values, one a microsecond.
    fn announced(values: &[f64]) -> Vec<(i64, AlertState)> {
        let (mut device, rules, mut said) = (Device::default(), rules(), Vec::new());
        for (at, value) in values.iter().enumerate() {
            device.take(&reading(at as i64, *value), &rules, |alert| said.push((alert.changed_at.as_micros(), alert.state)));
        }
        said
    }

    #[test]
    fn one_firing_and_one_resolved_per_excursion() {
        let said = announced(&[20.0, 31.5, 32.0, 29.0, 26.0, 25.0, 30.0, 27.0]);
        assert_eq!(said, [(1, AlertState::Firing), (4, AlertState::Resolved), (6, AlertState::Firing), (7, AlertState::Resolved)]);
    }

    #[test]
    fn a_reading_at_the_threshold_does_not_fire_and_one_at_the_clear_threshold_resolves() {
        assert_eq!(announced(&[28.0]), []);
        assert_eq!(announced(&[28.1, 27.1]).len(), 1);
        assert_eq!(announced(&[28.1, 27.0]).len(), 2);
    }

    #[test]
    fn both_changes_of_an_excursion_carry_one_id_and_the_next_excursion_another() {
        let (mut device, rules, mut ids) = (Device::default(), rules(), Vec::new());
        for (at, value) in [30.0, 20.0, 30.0].into_iter().enumerate() {
            device.take(&reading(at as i64, value), &rules, |alert| ids.push(alert.alert_id));
        }
        assert_eq!(ids[0], ids[1]);
        assert_ne!(ids[1], ids[2]);
    }

    #[test]
    fn repeats_late_and_retained_readings_change_nothing() {
        let (mut device, rules) = (Device::default(), rules());
        let mut said = 0;
        assert_eq!(device.take(&reading(5, 30.0), &rules, |_| said += 1), Arrival::New);
        assert_eq!(device.take(&reading(5, 30.0), &rules, |_| said += 1), Arrival::Duplicate);
        assert_eq!(device.take(&reading(4, 20.0), &rules, |_| said += 1), Arrival::Late);
        let mut retained = reading(6, 20.0);
        retained.attributes.insert(events::ATTRIBUTE_RETAINED.into(), "true".into());
        device.take(&retained, &rules, |_| said += 1);
        assert_eq!(said, 1);
    }

    #[test]
    fn severity_and_evidence_say_why() {
        let (mut device, rules, mut alerts) = (Device::default(), rules(), Vec::new());
        device.take(&reading(7, 31.5), &rules, |alert| alerts.push(alert));
        let alert = &alerts[0];
        assert_eq!((alert.severity, alert.reason, alert.threshold), (Severity::Warning, AlertReason::Crossed, Some(28.0)));
        assert_eq!(alert.evidence, [Evidence { at: Timestamp::from_micros(7), value: 31.5 }]);
        assert_eq!(alert.summary, "sensor-01: temperature 31.5 Cel is above 28 Cel");
    }
}
