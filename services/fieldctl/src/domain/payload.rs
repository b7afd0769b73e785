//! What a device says over MQTT, on `devices/<id>/telemetry` and `devices/<id>/status`, and where it is spoken to.

use events::Timestamp;
use serde_json::json;

use super::device::{Garbage, Signal};
use super::fleet::{FleetPlan, Step};

/// The metric synthetic devices measure.
pub(crate) const METRIC: &str = "temperature";

pub(crate) fn telemetry_topic(device_id: &str) -> String {
    format!("devices/{device_id}/telemetry")
}

pub(crate) fn status_topic(device_id: &str) -> String {
    format!("devices/{device_id}/status")
}

/// Where a device is told what to do.
pub(crate) fn commands_topic(device_id: &str) -> String {
    format!("devices/{device_id}/commands")
}

/// Where a device says how it is, retained.
pub(crate) fn state_topic(device_id: &str) -> String {
    format!("devices/{device_id}/state")
}

/// The device whose topic it is.
pub(crate) fn device_of(topic: &str) -> Option<&str> {
    topic.split('/').nth(1)
}

/// Fractional seconds, as devices send time.
pub(crate) fn seconds(at: Timestamp) -> f64 {
    at.as_micros() as f64 / 1e6
}

/// One value of one metric.
pub(crate) fn reading(metric: &str, value: f64, at: Timestamp) -> Vec<u8> {
    json!({ metric: value, "timestamp": seconds(at) }).to_string().into_bytes()
}

/// A step's message; `None`: the device is silent.
pub(crate) fn of_step(step: &Step) -> Option<Vec<u8>> {
    let (at, sequence) = (seconds(step.at), step.sequence);
    let (group, readable) = (FleetPlan::group_id(step.device), |value: serde_json::Value| Some(value.to_string().into_bytes()));
    match step.signal {
        Signal::Silence => None,
        Signal::Value(value) => readable(json!({ METRIC: value, "timestamp": at, "seq": sequence, "group": group })),
        Signal::Garbage(Garbage::OutOfRange) => readable(json!({ METRIC: 1.0e6, "timestamp": at, "seq": sequence, "group": group })),
        Signal::Garbage(Garbage::MissingValue) => readable(json!({ "timestamp": at, "seq": sequence, "group": group })),
        // What many a device's own JSON writer makes of a division by zero.
        Signal::Garbage(Garbage::NotANumber) => Some(format!("{{\"{METRIC}\": NaN, \"timestamp\": {at}}}").into_bytes()),
        Signal::Garbage(Garbage::NotJson) => Some(vec![0xff, 0xfe, b'?', b'T']),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(signal: Signal) -> Step {
        Step { device: 12, sequence: 3, at: Timestamp::from_micros(1_769_847_330_000_250), signal }
    }

    #[test]
    fn a_value_is_one_json_object() {
        let payload = of_step(&step(Signal::Value(21.5))).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(json, json!({"temperature": 21.5, "timestamp": 1_769_847_330.000_25, "seq": 3, "group": "room-2"}));
    }

    #[test]
    fn garbage_is_never_a_usable_value() {
        for garbage in [Garbage::NotJson, Garbage::NotANumber, Garbage::MissingValue, Garbage::OutOfRange] {
            let payload = of_step(&step(Signal::Garbage(garbage))).unwrap();
            let value = serde_json::from_slice::<serde_json::Value>(&payload).ok().and_then(|json| json.get(METRIC)?.as_f64());
            assert!(value.is_none_or(|value| value > 1_000.0), "{garbage:?}");
        }
        assert_eq!(of_step(&step(Signal::Silence)), None);
    }
}
