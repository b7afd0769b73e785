//! Events for tests.

use events::{AlertReason, AlertState, Severity, TemperatureAlert, Timestamp};
use uuid::Uuid;

use super::Cause;

pub(crate) const START: Timestamp = Timestamp::from_micros(1_769_847_330_000_000);

/// `START` and some seconds.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(START.as_micros() + seconds * 1_000_000)
}

pub(crate) fn firing() -> TemperatureAlert {
    TemperatureAlert {
        tenant: "default".into(),
        alert_id: "0b6f5f0e-6a5b-5d0b-9a43-0d6b1f2c3e4f".into(),
        rule_id: "high-temperature".into(),
        rule_version: "1".into(),
        device_id: "sensor-01".into(),
        group_id: Some("cold-room-2".into()),
        state: AlertState::Firing,
        severity: Severity::Warning,
        reason: AlertReason::Crossed,
        metric: "temperature".into(),
        value: Some(31.5),
        unit: "Cel".into(),
        threshold: Some(28.0),
        clear_threshold: Some(27.0),
        evidence: Vec::new(),
        started_at: START,
        changed_at: START,
        summary: "sensor-01: temperature 31.5 Cel is above 28 Cel".into(),
        labels: events::Labels::new(),
        runbook_url: Some("https://runbooks.example.com/high-temperature".into()),
    }
}

/// A later state of [`firing`], `seconds` after its start.
pub(crate) fn later(state: AlertState, seconds: i64) -> TemperatureAlert {
    TemperatureAlert { state, changed_at: at(seconds), ..firing() }
}

/// Another excursion of the same rule, device and metric, `seconds` after the first.
pub(crate) fn next_excursion(seconds: i64) -> TemperatureAlert {
    let alert_id = Uuid::from_u128(seconds as u128).to_string();
    TemperatureAlert { alert_id, started_at: at(seconds), changed_at: at(seconds), ..firing() }
}

pub(crate) fn cause(seconds: i64) -> Cause {
    Cause { event_id: Uuid::from_u128(0xC0DE + seconds as u128), trace_id: None, at: at(seconds) }
}
