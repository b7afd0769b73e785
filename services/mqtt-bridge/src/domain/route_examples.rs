//! Routes of people's own.

use events::{Reading, Timestamp};
use service::config::{Layers, load};

use crate::config::{Config, DEFAULTS};
use crate::domain::{Message, Outcome, Reason, Reject, Routes};

const NOW: Timestamp = Timestamp::from_millis(1_769_847_330_000);

fn routes(routes: &str) -> Routes {
    let environment = vec![("MQTT_BRIDGE__ROUTES".to_owned(), format!("[{routes}]"))];
    load::<Config>(&Layers { service: crate::NAME, defaults: DEFAULTS, file: None, environment }).unwrap().routes().unwrap()
}

fn outcome(routes: &Routes, topic: &str, payload: impl AsRef<[u8]>) -> Result<Vec<Reading>, Reject> {
    let outcome = routes.interpret(&Message { topic, payload: payload.as_ref(), retained: false, received_at: NOW }).outcome?;
    match outcome {
        Outcome::Readings(readings) => Ok(readings),
        other => panic!("{other:?}"),
    }
}

/// Device, metric, value and sequence of each.
fn found(readings: &[Reading]) -> Vec<(&str, &str, f64, Option<i64>)> {
    readings.iter().map(|reading| (reading.device_id.as_str(), reading.metric.as_str(), reading.value, reading.sequence)).collect()
}

#[test]
fn a_pointer_leads_into_nested_objects_and_arrays() {
    let routes = routes(
        r#"{ name = "r", filter = "up/#", payload = "value", device = "payload:/meta/ids/1", metric = "temperature",
             value = "payload:/data/t~1c", time = "payload:/meta/at", sequence = "payload:/meta/n" }"#,
    );
    let payload = r#"{"meta": {"ids": ["x", "probe-7"], "at": 1769847300, "n": 5}, "data": {"t/c": 21.5}}"#;
    let readings = outcome(&routes, "up/1", payload).unwrap();
    assert_eq!(found(&readings), [("probe-7", "temperature", 21.5, Some(5))]);
    assert_eq!(readings[0].measured_at, Timestamp::from_millis(1_769_847_300_000));
    for (payload, reason) in [
        (r#"{"meta": {"ids": ["x"]}, "data": {"t/c": 1}}"#, Reason::MissingField),
        (r#"{"meta": {"ids": ["x", "d"]}, "data": {"t/c": {}}}"#, Reason::WrongType),
        (r#"{"meta": {"ids": ["x", "d"], "ids": 1}, "data": {"t/c": 1}}"#, Reason::DuplicateKey),
        ("21", Reason::NotAnObject),
        ("[1]", Reason::MissingField),
    ] {
        assert_eq!(outcome(&routes, "up/1", payload).unwrap_err().reason, reason, "{payload}");
    }
    let deep = format!("{}1{}", r#"{"a":"#.repeat(1_000), "}".repeat(1_000));
    assert_eq!(outcome(&routes, "up/1", deep).unwrap_err().reason, Reason::NotJson);
}

#[test]
fn each_element_of_an_array_is_a_reading_with_what_is_said_around_it() {
    let own = r#"{ name = "r", filter = "gw/+", payload = "value", device = "payload:id", metric = "temperature", value = "payload:t",
                   each = "payload:items" }"#;
    let routes_of_gateway = routes(own);
    let payload = r#"{"id": "gateway", "seq": 9, "t": 99, "items": [{"id": "a", "t": 1}, {"t": 2, "seq": 4}]}"#;
    let readings = outcome(&routes_of_gateway, "gw/1", payload).unwrap();
    assert_eq!(found(&readings), [("a", "temperature", 1.0, Some(9)), ("gateway", "temperature", 2.0, Some(4))]);

    let bare = routes(r#"{ name = "r", filter = "gw/+", payload = "metrics", device = "topic:2", each = "payload" }"#);
    let readings = outcome(&bare, "gw/d", r#"[{"temperature": 1, "humidity": 2}, {"battery": 3}]"#).unwrap();
    assert_eq!(found(&readings), [("d", "temperature", 1.0, None), ("d", "humidity", 2.0, None), ("d", "battery", 3.0, None)]);

    for (routes, payload, reason) in [
        (&routes_of_gateway, r#"{"id": "g", "items": 1}"#.to_owned(), Reason::WrongType),
        (&routes_of_gateway, r#"{"id": "g", "items": [1]}"#.to_owned(), Reason::WrongType),
        (&routes_of_gateway, r#"{"id": "g"}"#.to_owned(), Reason::MissingField),
        (&routes_of_gateway, r#"{"id": "g", "items": []}"#.to_owned(), Reason::NoMetrics),
        (&routes_of_gateway, r#"{"id": "g", "items": [{"t": 1}, {"t": "hot"}]}"#.to_owned(), Reason::WrongType),
        (&routes_of_gateway, format!(r#"{{"id": "g", "items": [{}]}}"#, vec![r#"{"t": 1}"#; 101].join(",")), Reason::TooManyReadings),
        (&bare, "{}".to_owned(), Reason::NotAnArray),
    ] {
        assert_eq!(outcome(routes, "gw/d", &payload).unwrap_err().reason, reason, "{payload}");
    }
}

#[test]
fn a_plain_number_is_a_value_of_the_metric_its_topic_names() {
    let routes = routes(r#"{ name = "r", filter = "plant/+/+", payload = "number", device = "plant-{topic:2}", metric = "topic:3" }"#);
    for (payload, value) in [("21.5", 21.5), (" -3\n", -3.0), ("1e2", 100.0)] {
        assert_eq!(found(&outcome(&routes, "plant/7/temperature", payload).unwrap()), [("plant-7", "temperature", value, None)]);
    }
    for (payload, reason) in [
        ("", Reason::Empty),
        ("hot", Reason::WrongType),
        ("NaN", Reason::NotFinite),
        ("1e999", Reason::NotFinite),
        ("5000", Reason::OutOfRange),
        ("{}", Reason::WrongType),
    ] {
        assert_eq!(outcome(&routes, "plant/7/temperature", payload).unwrap_err().reason, reason, "{payload}");
    }
}

#[test]
fn values_in_another_unit_are_converted_before_their_limits_are_checked() {
    let routes = routes(
        r#"{ name = "r", filter = "us/+", payload = "metrics", device = "topic:2", units = { temperature = "[degF]", pressure = "Pa" } }"#,
    );
    let readings = outcome(&routes, "us/d", r#"{"temperature": 212, "pressure": 101325, "humidity": 40}"#).unwrap();
    let values: Vec<(f64, &str)> = readings.iter().map(|reading| (reading.value.round(), reading.unit.as_str())).collect();
    assert_eq!(values, [(100.0, "Cel"), (1013.0, "hPa"), (40.0, "%")]);
    assert_eq!(outcome(&routes, "us/d", r#"{"temperature": -500}"#).unwrap_err().reason, Reason::OutOfRange);
}

#[test]
fn the_tenant_is_of_the_topic_or_fixed() {
    let routes = routes(r#"{ name = "r", filter = "t/+/+", payload = "metrics", device = "topic:3", tenant = "{topic:1}-{topic:2}" }"#);
    let reading = &outcome(&routes, "t/acme/d-1", r#"{"temperature": 1}"#).unwrap()[0];
    assert_eq!((reading.tenant.as_str(), reading.device_id.as_str()), ("t-acme", "d-1"));
}

proptest::proptest! {
    #[test]
    fn no_payload_is_too_strange_for_any_codec(payload in r#"(\{|\}|\[|\]|"|:|,|\\|NaN|-|1e9|9|a|items|é|\n| ){0,40}"#, bytes: Vec<u8>) {
        for decode in [crate::codec::json, crate::codec::nested_json, crate::codec::number, crate::codec::text_or_json] {
            drop(decode(payload.as_bytes()));
            drop(decode(&bytes));
        }
    }
}
