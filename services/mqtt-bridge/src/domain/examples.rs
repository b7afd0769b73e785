//! Payloads of all kinds, read by the routes of the default configuration.

use std::sync::LazyLock;

use events::{DeviceState, DeviceStatus, Reading, ReportedState, Timestamp};
use service::config::{Layers, load};

use crate::config::{Config, DEFAULTS};
use crate::domain::{Message, Outcome, Reason, Reject, Routes};

const NOW: Timestamp = Timestamp::from_millis(1_769_847_330_000);
const TEMPERATURE: &str = "iot/sensor/temperature";
const TELEMETRY: &str = "devices/d-1/telemetry";
const STATUS: &str = "devices/d-1/status";
const STATE: &str = "devices/d-1/state";

static ROUTES: LazyLock<Routes> = LazyLock::new(|| {
    let layers = Layers { service: crate::NAME, defaults: DEFAULTS, file: None, environment: Vec::new() };
    load::<Config>(&layers).unwrap().routes().unwrap()
});

fn outcome(topic: &str, payload: impl AsRef<[u8]>, retained: bool) -> Result<Outcome, Reject> {
    ROUTES.interpret(&Message { topic, payload: payload.as_ref(), retained, received_at: NOW }).outcome
}

fn readings(topic: &str, payload: &str) -> Vec<Reading> {
    match outcome(topic, payload, false) {
        Ok(Outcome::Readings(readings)) => readings,
        other => panic!("{payload}: {other:?}"),
    }
}

fn status(payload: &str) -> DeviceStatus {
    match outcome(STATUS, payload, true) {
        Ok(Outcome::Status(status)) => status,
        other => panic!("{payload}: {other:?}"),
    }
}

fn state(payload: &str) -> ReportedState {
    match outcome(STATE, payload, true) {
        Ok(Outcome::State(state)) => state,
        other => panic!("{payload}: {other:?}"),
    }
}

#[test]
fn what_a_device_reports_of_itself_is_its_state_without_what_it_answers() {
    let id = "0198f0c0-0000-7000-8000-000000000001";
    let payload = format!(
        r#"{{"on": true, "fan": {{"modes": ["eco", null, 2.5]}}, "timestamp": 1769847329, "command_id": "{id}", "error": "stuck"}}"#
    );
    let reported = state(&payload);
    assert_eq!((reported.tenant.as_str(), reported.device_id.as_str()), ("default", "d-1"));
    let read: serde_json::Value = serde_json::from_str(&reported.state).unwrap();
    assert_eq!(read, serde_json::json!({"on": true, "fan": {"modes": ["eco", null, 2.5]}}));
    assert_eq!((reported.command_id, reported.error.as_deref()), (id.parse().ok(), Some("stuck")));
    assert_eq!((reported.reported_at, reported.received_at), (Timestamp::from_millis(1_769_847_329_000), NOW));
    let plain = state(r#"{"on": false, "command_id": null}"#);
    assert_eq!((plain.state.as_str(), plain.command_id, plain.error, plain.reported_at), (r#"{"on":false}"#, None, None, NOW));
}

#[test]
fn a_temperature_becomes_one_reading_in_celsius() {
    let readings = readings(TEMPERATURE, r#"{"device_id": "sensor-01", "temperature": 31.5, "timestamp": 1769847329.25}"#);
    let [reading] = readings.as_slice() else { panic!("{readings:?}") };
    assert_eq!((reading.device_id.as_str(), reading.tenant.as_str()), ("sensor-01", "default"));
    assert_eq!((reading.metric.as_str(), reading.unit.as_str()), ("temperature", events::UNIT_CELSIUS));
    assert_eq!((reading.value.to_bits(), reading.sequence), (31.5_f64.to_bits(), None));
    assert_eq!((reading.measured_at, reading.received_at), (Timestamp::from_millis(1_769_847_329_250), NOW));
    assert!(reading.attributes.is_empty() && reading.group_id.is_none());
}

#[test]
fn a_message_without_a_time_has_the_time_it_was_received() {
    for payload in [r#"{"device_id": "d", "temperature": 1}"#, r#"{"device_id": "d", "temperature": 1, "timestamp": null}"#] {
        let reading = &readings(TEMPERATURE, payload)[0];
        assert_eq!(reading.measured_at, NOW);
        assert_eq!(reading.attributes.get("time").map(String::as_str), Some("received"));
    }
}

#[test]
fn several_metrics_of_one_message_are_several_readings_in_its_order() {
    let payload = r#"{"temperature": 21.5, "battery": 3, "humidity": 40.0, "seq": 7, "group": "hall-1",
                      "timestamp": "2026-01-31T08:15:30Z", "firmware": "1.2", "ok": true, "pressure": null}"#;
    let readings = readings(TELEMETRY, payload);
    let found: Vec<(&str, f64, &str)> = readings.iter().map(|r| (r.metric.as_str(), r.value, r.unit.as_str())).collect();
    assert_eq!(found, [("temperature", 21.5, "Cel"), ("battery", 3.0, "1"), ("humidity", 40.0, "%")]);
    for reading in &readings {
        assert_eq!((reading.device_id.as_str(), reading.group_id.as_deref(), reading.sequence), ("d-1", Some("hall-1"), Some(7)));
    }
}

#[test]
fn a_retained_reading_is_marked() {
    let Ok(Outcome::Readings(readings)) = outcome(TELEMETRY, r#"{"temperature": 1}"#, true) else { panic!("no reading") };
    assert_eq!(readings[0].attributes.get("mqtt.retained").map(String::as_str), Some("true"));
    assert!(!readings[0].is_fresh());
}

#[test]
fn birth_and_will_are_text_or_json() {
    for (payload, state, reason) in [
        ("online", DeviceState::Online, "birth"),
        ("OFFLINE\n", DeviceState::Offline, "will"),
        ("\"retired\"", DeviceState::Retired, "retired"),
        (r#"{"state": "online"}"#, DeviceState::Online, "birth"),
        (r#"{"state": "offline", "reason": "shutdown"}"#, DeviceState::Offline, "shutdown"),
    ] {
        let status = status(payload);
        assert_eq!((status.device_id.as_str(), status.state, status.reason.as_str()), ("d-1", state, reason), "{payload}");
        assert_eq!(status.changed_at, NOW);
    }
    let timed = status(r#"{"state": "online", "timestamp": 1769847300}"#);
    assert_eq!(timed.changed_at, Timestamp::from_millis(1_769_847_300_000));
}

#[test]
fn a_reading_measured_long_ago_is_marked_as_late() {
    for (seconds_ago, late) in [(0, false), (3_600, false), (3_601, true)] {
        let payload = format!(r#"{{"temperature": 1, "timestamp": {}}}"#, NOW.as_millis() / 1_000 - seconds_ago);
        assert_eq!(readings(TELEMETRY, &payload)[0].attributes.contains_key("late"), late, "{seconds_ago} s ago");
    }
}

#[test]
fn a_clock_a_little_ahead_is_accepted() {
    let payload = format!(r#"{{"temperature": 1, "timestamp": {}}}"#, NOW.as_millis() / 1_000 + 300);
    assert_eq!(readings(TELEMETRY, &payload).len(), 1);
}

/// Every malformed payload, with the reason it has to be rejected for and the device that can be told.
#[test]
fn malformed_payloads_are_rejected_with_their_reason() {
    let deep = format!(r#"{{"device_id": "d", "temperature": {}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let many = format!("{{{}}}", (0..101).map(|n| format!(r#""m{n}": 1"#)).collect::<Vec<_>>().join(","));
    let large = format!(r#"{{"device_id": "d", "temperature": 1, "padding": "{}"}}"#, "x".repeat(1_000_000));
    let long_name = format!(r#"{{"{}": 1}}"#, "m".repeat(2_000));
    let long_id = format!(r#"{{"device_id": "{}", "temperature": 1}}"#, "d".repeat(257));
    let corpus: Vec<(&str, &[u8], Reason, Option<&str>)> = vec![
        (TEMPERATURE, b"", Reason::Empty, None),
        (TEMPERATURE, b" ", Reason::NotJson, None),
        (TEMPERATURE, b"{", Reason::NotJson, None),
        (TEMPERATURE, b"hello", Reason::NotJson, None),
        (TEMPERATURE, br#"{"device_id": "d", "temperature": 1"#, Reason::NotJson, None),
        (TEMPERATURE, br#"{"device_id": "d", "temperature": 1}}"#, Reason::NotJson, None),
        (TEMPERATURE, br#"{"device_id": "d", "temperature": 01}"#, Reason::NotJson, None),
        (TEMPERATURE, br"{'device_id': 'd', 'temperature': 1}", Reason::NotJson, None),
        (TEMPERATURE, b"\xef\xbb\xbf{}", Reason::NotJson, None),
        (TEMPERATURE, b"{\"device_id\": \"d\xc3\", \"temperature\": 1}", Reason::NotUtf8, None),
        (TEMPERATURE, b"\xff\xfe{\x00}\x00", Reason::NotUtf8, None),
        (TEMPERATURE, br#"{"device_id": "\ud800", "temperature": 1}"#, Reason::NotJson, None),
        (TEMPERATURE, b"[]", Reason::NotAnObject, None),
        (TEMPERATURE, b"31.5", Reason::NotAnObject, None),
        (TEMPERATURE, b"null", Reason::NotAnObject, None),
        (TEMPERATURE, b"\"text\"", Reason::NotAnObject, None),
        (TEMPERATURE, b"{}", Reason::MissingField, None),
        (TEMPERATURE, br#"{"temperature": 1}"#, Reason::MissingField, None),
        (TEMPERATURE, br#"{"device_id": null, "temperature": 1}"#, Reason::MissingField, None),
        (TEMPERATURE, br#"{"device_id": "d"}"#, Reason::MissingField, Some("d")),
        (TEMPERATURE, br#"{"device_id": "d", "temperature": null}"#, Reason::MissingField, Some("d")),
        (TEMPERATURE, br#"{"device_id": "d", "Temperature": 1}"#, Reason::MissingField, Some("d")),
        (TEMPERATURE, br#"{"device_id": "d", "temperature": 1, "temperature": 2}"#, Reason::DuplicateKey, None),
        (TEMPERATURE, br#"{"device_id": "d", "temperature": "31.5"}"#, Reason::WrongType, Some("d")),
        (TEMPERATURE, br#"{"device_id": "d", "temperature": true}"#, Reason::WrongType, Some("d")),
        (TEMPERATURE, br#"{"device_id": "d", "temperature": [1]}"#, Reason::WrongType, Some("d")),
        (TEMPERATURE, br#"{"device_id": "d", "temperature": {"value": 1}}"#, Reason::WrongType, Some("d")),
        (TEMPERATURE, br#"{"device_id": 1.5, "temperature": 1}"#, Reason::WrongType, None),
        (TEMPERATURE, br#"{"device_id": ["d"], "temperature": 1}"#, Reason::WrongType, None),
        (TEMPERATURE, br#"{"device_id": "d", "temperature": NaN}"#, Reason::NotFinite, None),
        (TEMPERATURE, br#"{"device_id": "d", "temperature":NaN}"#, Reason::NotFinite, None),
        (TEMPERATURE, br#"{"device_id": "d", "temperature": Infinity}"#, Reason::NotFinite, None),
        (TEMPERATURE, br#"{"device_id": "d", "temperature": -Infinity}"#, Reason::NotFinite, None),
        (TEMPERATURE, b"{\"device_id\": \"d\",\n \"temperature\": nan}", Reason::NotFinite, None),
        (TEMPERATURE, br#"{"device_id": "d", "temperature": 1e999}"#, Reason::NotFinite, None),
        (TEMPERATURE, br#"{"device_id": "d", "temperature": -274}"#, Reason::OutOfRange, Some("d")),
        (TEMPERATURE, br#"{"device_id": "d", "temperature": 1e308}"#, Reason::OutOfRange, Some("d")),
        (TEMPERATURE, br#"{"device_id": "d", "temperature": 99999999999999999999999}"#, Reason::OutOfRange, Some("d")),
        (TEMPERATURE, br#"{"device_id": "", "temperature": 1}"#, Reason::BadDeviceId, None),
        (TEMPERATURE, br#"{"device_id": "a/b", "temperature": 1}"#, Reason::BadDeviceId, None),
        (TEMPERATURE, br#"{"device_id": "a\u0000b", "temperature": 1}"#, Reason::BadDeviceId, None),
        (TEMPERATURE, long_id.as_bytes(), Reason::BadDeviceId, None),
        (TEMPERATURE, br#"{"device_id": "d", "temperature": 1, "timestamp": "soon"}"#, Reason::BadTimestamp, Some("d")),
        (TEMPERATURE, br#"{"device_id": "d", "temperature": 1, "timestamp": -1}"#, Reason::BadTimestamp, Some("d")),
        (TEMPERATURE, br#"{"device_id": "d", "temperature": 1, "timestamp": 9e18}"#, Reason::BadTimestamp, Some("d")),
        (TEMPERATURE, br#"{"device_id": "d", "temperature": 1, "timestamp": true}"#, Reason::WrongType, Some("d")),
        (TEMPERATURE, br#"{"device_id": "d", "temperature": 1, "timestamp": 1769847631}"#, Reason::TooFarAhead, Some("d")),
        (TEMPERATURE, br#"{"device_id": "d", "temperature": 1, "timestamp": "2036-01-01T00:00:00Z"}"#, Reason::TooFarAhead, Some("d")),
        (TEMPERATURE, large.as_bytes(), Reason::Oversized, None),
        (TEMPERATURE, deep.as_bytes(), Reason::WrongType, Some("d")),
        (TELEMETRY, b"", Reason::Empty, Some("d-1")),
        (TELEMETRY, b"not json", Reason::NotJson, Some("d-1")),
        (TELEMETRY, b"[1, 2]", Reason::NotAnObject, Some("d-1")),
        (TELEMETRY, b"{}", Reason::NoMetrics, Some("d-1")),
        (TELEMETRY, br#"{"timestamp": 1769847330, "seq": 1, "group": "g"}"#, Reason::NoMetrics, Some("d-1")),
        (TELEMETRY, br#"{"note": "hot", "ok": true}"#, Reason::NoMetrics, Some("d-1")),
        (TELEMETRY, br#"{"temperature": "hot", "humidity": 1}"#, Reason::WrongType, Some("d-1")),
        (TELEMETRY, br#"{"temperature": 1, "humidity": 101}"#, Reason::OutOfRange, Some("d-1")),
        (TELEMETRY, br#"{"temperature": 1, "seq": "first"}"#, Reason::WrongType, Some("d-1")),
        (TELEMETRY, br#"{"temperature": 1, "seq": 1.5}"#, Reason::WrongType, Some("d-1")),
        (TELEMETRY, br#"{"temperature": 1, "group": []}"#, Reason::WrongType, Some("d-1")),
        (TELEMETRY, br#"{"the temperature": 1}"#, Reason::BadMetricName, Some("d-1")),
        (TELEMETRY, br#"{"": 1}"#, Reason::BadMetricName, Some("d-1")),
        (TELEMETRY, long_name.as_bytes(), Reason::BadMetricName, Some("d-1")),
        (TELEMETRY, many.as_bytes(), Reason::TooManyReadings, Some("d-1")),
        (TELEMETRY, large.as_bytes(), Reason::Oversized, Some("d-1")),
        ("devices//telemetry", br#"{"temperature": 1}"#, Reason::BadDeviceId, None),
        (STATUS, b"", Reason::Empty, Some("d-1")),
        (STATUS, b"away", Reason::UnknownState, Some("d-1")),
        (STATUS, b"1", Reason::UnknownState, Some("d-1")),
        (STATUS, b"{}", Reason::MissingField, Some("d-1")),
        (STATUS, br#"{"state": "away"}"#, Reason::UnknownState, Some("d-1")),
        (STATUS, br#"{"state": 1}"#, Reason::WrongType, Some("d-1")),
        (STATUS, br#"{"state": "online", "reason": 1}"#, Reason::WrongType, Some("d-1")),
        (STATUS, br#"{"state": "online", "timestamp": 1769847631}"#, Reason::TooFarAhead, Some("d-1")),
        (STATUS, br#"{"state""#, Reason::NotJson, Some("d-1")),
        (STATUS, b"\xff", Reason::NotUtf8, Some("d-1")),
        ("some/other/topic", b"{}", Reason::NoRoute, None),
        ("$SYS/broker/uptime", b"1", Reason::NoRoute, None),
    ];
    assert_rejected(&corpus);
}

fn assert_rejected(corpus: &[(&str, &[u8], Reason, Option<&str>)]) {
    for (topic, payload, reason, device) in corpus {
        let shown = String::from_utf8_lossy(&payload[..payload.len().min(120)]).into_owned();
        let reject = outcome(topic, payload, false).expect_err(&shown);
        assert_eq!((reject.reason, reject.device.as_ref().map(|d| d.device_id.as_str())), (*reason, *device), "{topic} {shown}: {reject}");
        assert!(reject.detail.len() < 1_000, "{topic} {shown}: the detail is as long as the payload");
    }
}

#[test]
fn reports_that_are_no_state_are_rejected_with_their_reason() {
    assert_rejected(&[
        (STATE, b"", Reason::Empty, Some("d-1")),
        (STATE, b"on", Reason::NotJson, Some("d-1")),
        (STATE, b"[true]", Reason::NotAnObject, Some("d-1")),
        (STATE, br#"{"on": true, "on": false}"#, Reason::DuplicateKey, Some("d-1")),
        (STATE, br#"{"on": true, "command_id": "7"}"#, Reason::BadCommandId, Some("d-1")),
        (STATE, br#"{"on": true, "command_id": 7}"#, Reason::WrongType, Some("d-1")),
        (STATE, br#"{"on": true, "error": {}}"#, Reason::WrongType, Some("d-1")),
        (STATE, br#"{"on": true, "timestamp": 1769847631}"#, Reason::TooFarAhead, Some("d-1")),
        (STATE, &vec![b' '; 64 * 1024 + 1], Reason::Oversized, Some("d-1")),
    ]);
}

#[test]
fn with_a_blob_store_a_large_payload_is_its_devices_where_the_topic_tells_it() {
    let environment = vec![("MQTT_BRIDGE__BLOBS__FOLDER".to_owned(), "blobs".to_owned())];
    let layers = Layers { service: crate::NAME, defaults: DEFAULTS, file: None, environment };
    let routes = load::<Config>(&layers).unwrap().routes().unwrap();
    let large = vec![0xff; 256 * 1024 + 1];
    let outcome = |topic, payload: &[u8]| routes.interpret(&Message { topic, payload, retained: false, received_at: NOW }).outcome;
    assert_eq!(outcome(TELEMETRY, &large), Ok(Outcome::Large(events::DeviceKey::new("default", "d-1"))));
    assert_eq!(outcome(TEMPERATURE, &large).unwrap_err().reason, Reason::Oversized, "its device is somewhere in the payload");
    assert_eq!(outcome(TELEMETRY, &large[1..]).unwrap_err().reason, Reason::NotUtf8, "what is not larger than the limit is read");
}

proptest::proptest! {
    #[test]
    fn no_payload_is_too_strange_to_answer(payload: Vec<u8>) {
        for topic in [TEMPERATURE, TELEMETRY, STATUS, STATE] {
            drop(outcome(topic, &payload, false));
        }
    }

    #[test]
    fn no_text_that_looks_like_json_is_too_strange_to_answer(payload in r#"(\{|\}|\[|\]|"|:|,|\\|NaN|-|1e9|9|device_id|temperature|timestamp|é|\n| ){0,40}"#) {
        for topic in [TEMPERATURE, TELEMETRY, STATUS, STATE] {
            drop(outcome(topic, &payload, false));
        }
    }
}
