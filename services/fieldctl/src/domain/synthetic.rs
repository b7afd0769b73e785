//! A step as the events that services would make of it, for topics that are fed directly.

use std::time::Duration;

use events::identity::{DEFAULT_TENANT, excursion_id, uuid_of};
use events::{
    AlertReason, AlertState, Anomaly, AnomalyState, Command, Contribution, DeviceState, DeviceStatus, Evidence, Labels, Model, Reading,
    Severity, TemperatureAlert, Timestamp, UNIT_CELSIUS,
};

use super::device::Garbage;
use super::fleet::{FleetPlan, Step};
use super::payload::METRIC;

const THRESHOLD: f64 = 28.0;
const CLEAR_THRESHOLD: f64 = 27.0;
const SCORE_THRESHOLD: f64 = 0.8;

/// The reading of a step that has a value.
pub(crate) fn reading(plan: &FleetPlan, step: &Step, value: f64, received_at: Timestamp) -> Reading {
    Reading {
        tenant: DEFAULT_TENANT.to_owned(),
        device_id: plan.device_id(step.device),
        group_id: Some(FleetPlan::group_id(step.device)),
        metric: METRIC.to_owned(),
        value,
        unit: UNIT_CELSIUS.to_owned(),
        measured_at: step.at,
        received_at,
        sequence: Some(step.sequence),
        attributes: Labels::new(),
    }
}

/// Turns of a device open and close in turn: whether this one opens, and when what is open was opened.
fn episode(step: &Step, period: Duration) -> (bool, Timestamp) {
    let opens = step.sequence % 2 == 0;
    (opens, if opens { step.at } else { step.at.saturating_sub(period) })
}

/// FIRING and RESOLVED in turn, each pair one excursion.
pub(crate) fn alert(plan: &FleetPlan, step: &Step) -> TemperatureAlert {
    let (fires, started_at) = episode(step, plan.period());
    let (device_id, rule_id) = (plan.device_id(step.device), "high-temperature");
    let value = if fires { 31.5 } else { 26.5 };
    let how = if fires { "is above" } else { "is back under" };
    TemperatureAlert {
        tenant: DEFAULT_TENANT.to_owned(),
        alert_id: excursion_id("alert", DEFAULT_TENANT, rule_id, &device_id, METRIC, started_at).to_string(),
        rule_id: rule_id.to_owned(),
        rule_version: "synthetic".to_owned(),
        group_id: Some(FleetPlan::group_id(step.device)),
        state: if fires { AlertState::Firing } else { AlertState::Resolved },
        severity: if step.device.is_multiple_of(5) { Severity::Critical } else { Severity::Warning },
        reason: if fires { AlertReason::Crossed } else { AlertReason::Cleared },
        metric: METRIC.to_owned(),
        value: Some(value),
        unit: UNIT_CELSIUS.to_owned(),
        threshold: Some(THRESHOLD),
        clear_threshold: Some(CLEAR_THRESHOLD),
        evidence: vec![Evidence { at: step.at, value }],
        started_at,
        changed_at: step.at,
        summary: format!("{device_id}: {METRIC} {value} {UNIT_CELSIUS} {how} {THRESHOLD} {UNIT_CELSIUS}"),
        labels: Labels::new(),
        runbook_url: None,
        device_id,
    }
}

/// ONLINE and OFFLINE in turn.
pub(crate) fn status(plan: &FleetPlan, step: &Step) -> DeviceStatus {
    let (online, _) = episode(step, plan.period());
    let (state, reason) = if online { (DeviceState::Online, "birth") } else { (DeviceState::Offline, "will") };
    DeviceStatus {
        tenant: DEFAULT_TENANT.to_owned(),
        device_id: plan.device_id(step.device),
        state,
        reason: reason.to_owned(),
        changed_at: step.at,
    }
}

/// Something to be done within a minute from `now`.
pub(crate) fn command(plan: &FleetPlan, step: &Step, now: Timestamp) -> Command {
    let device_id = plan.device_id(step.device);
    Command {
        tenant: DEFAULT_TENANT.to_owned(),
        command_id: uuid_of("synthetic-command", &[&device_id, &step.at.as_micros().to_string(), &now.as_micros().to_string()]),
        device_id,
        name: "set".to_owned(),
        arguments: r#"{"speed":3}"#.to_owned(),
        desired_state: Some(r#"{"speed":3}"#.to_owned()),
        issued_at: now,
        expires_at: now.saturating_add(Duration::from_mins(1)),
        issued_by: "synthetic".to_owned(),
        scene_id: None,
    }
}

/// OPENED and CLOSED in turn, each pair one excursion.
pub(crate) fn anomaly(plan: &FleetPlan, step: &Step) -> Anomaly {
    let (opens, started_at) = episode(step, plan.period());
    let (device_id, model) = (plan.device_id(step.device), "synthetic");
    let (score, value) = if opens { (0.93, 31.5) } else { (0.12, 21.5) };
    Anomaly {
        tenant: DEFAULT_TENANT.to_owned(),
        anomaly_id: excursion_id("anomaly", DEFAULT_TENANT, model, &device_id, METRIC, started_at).to_string(),
        device_id,
        group_id: Some(FleetPlan::group_id(step.device)),
        metric: METRIC.to_owned(),
        state: if opens { AnomalyState::Opened } else { AnomalyState::Closed },
        score,
        threshold: SCORE_THRESHOLD,
        value,
        expected: Some(21.25),
        band_low: Some(19.5),
        band_high: Some(23.0),
        confidence: score,
        started_at,
        changed_at: step.at,
        model: Model { name: model.to_owned(), version: "1".to_owned(), sha256: "0".repeat(64) },
        contributions: vec![Contribution { feature: METRIC.to_owned(), share: 1.0 }],
        labels: Labels::new(),
    }
}

/// Bytes in a topic that are no event: another magic byte, a schema nobody registered, a body that ends too soon.
pub(crate) fn garbage(kind: Garbage) -> Vec<u8> {
    match kind {
        Garbage::NotJson => b"\x07not framed at all".to_vec(),
        Garbage::NotANumber => vec![0],
        Garbage::MissingValue | Garbage::OutOfRange => [&[0], u32::MAX.to_be_bytes().as_slice(), b"body"].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fleet::Fleet;

    fn plan() -> FleetPlan {
        FleetPlan {
            seed: 1,
            devices: 2,
            prefix: "sim".into(),
            start: Timestamp::from_millis(1_769_847_330_000),
            interval: Duration::from_secs(1),
            excursions: 0.0,
            faults: 0.0,
        }
    }

    #[test]
    fn each_pair_of_alerts_is_one_excursion() {
        let alerts: Vec<_> = Fleet::new(plan()).filter(|step| step.device == 1).take(4).map(|step| alert(&plan(), &step)).collect();
        assert_eq!(
            alerts.iter().map(|alert| alert.state).collect::<Vec<_>>(),
            [AlertState::Firing, AlertState::Resolved, AlertState::Firing, AlertState::Resolved]
        );
        assert_eq!((&alerts[0].alert_id, alerts[0].started_at), (&alerts[1].alert_id, alerts[1].started_at));
        assert_ne!(alerts[1].alert_id, alerts[2].alert_id);
    }

    #[test]
    fn each_pair_of_anomalies_is_one_excursion() {
        let anomalies: Vec<_> = Fleet::new(plan()).filter(|step| step.device == 0).take(2).map(|step| anomaly(&plan(), &step)).collect();
        assert_eq!((anomalies[0].state, anomalies[1].state), (AnomalyState::Opened, AnomalyState::Closed));
        assert_eq!(anomalies[0].anomaly_id, anomalies[1].anomaly_id);
    }
}
