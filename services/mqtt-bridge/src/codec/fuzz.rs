//! Every codec, and what is made of what it reads, under changed inputs of `tests/corpus`.

use std::path::PathBuf;

use events::Timestamp;
use serde::de::IgnoredAny;
use service::config::{Layers, load};
use testkit::fuzz::fuzz;

use super::{json, nested_json, number, text_or_json};
use crate::config::{Config, DEFAULTS};
use crate::domain::{Document, Field, Message, Outcome, Reason, Reject, Routes};

const NOW: Timestamp = Timestamp::from_millis(1_769_847_330_000);

fn corpus(kind: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(kind)
}

fn routes(own: Option<&str>) -> Routes {
    let environment = own.map(|routes| ("MQTT_BRIDGE__ROUTES".to_owned(), format!("[{routes}]"))).into_iter().collect();
    load::<Config>(&Layers { service: crate::NAME, defaults: DEFAULTS, file: None, environment }).unwrap().routes().unwrap()
}

/// Readings, or why there are none.
type Place = Result<usize, Reason>;

/// What a message led to; a reading or status has to be one that any service behind can take.
fn place(routes: &Routes, topic: &str, payload: &[u8]) -> Place {
    let interpreted = routes.interpret(&Message { topic, payload, retained: false, received_at: NOW });
    match interpreted.outcome {
        Ok(Outcome::Readings(readings)) => {
            assert!((1..=100).contains(&readings.len()), "{} readings", readings.len());
            for reading in &readings {
                assert!(reading.value.is_finite() && (1..=256).contains(&reading.device_id.len()), "{reading:?}");
                assert!(!reading.device_id.contains('/') && !reading.metric.is_empty(), "{reading:?}");
                assert!(reading.metric != "temperature" || (-273.15..=1_000.0).contains(&reading.value), "{reading:?}");
                assert!((Timestamp::default()..=NOW.saturating_add(std::time::Duration::from_mins(5))).contains(&reading.measured_at));
            }
            Ok(readings.len())
        }
        Ok(Outcome::Status(status)) => {
            assert!(status.reason.chars().count() <= 64, "{status:?}");
            Ok(0)
        }
        Ok(Outcome::State(state)) => panic!("{state:?} of a route without states"),
        Ok(Outcome::Large(device)) => panic!("{device:?} without a blob store"),
        Err(Reject { reason, detail, .. }) => {
            assert!(detail.len() < 1_000, "the detail is as long as the payload: {detail}");
            Err(reason)
        }
    }
}

fn assert_finite(field: &Field<'_>) {
    match field {
        Field::Number(number) => assert!(number.is_finite()),
        Field::Object(members) => members.iter().for_each(|(_, field)| assert_finite(field)),
        Field::Array(elements) => elements.iter().for_each(assert_finite),
        Field::Integer(_) | Field::Text(_) | Field::Null | Field::Other(_) => {}
    }
}

fn assert_document_finite(document: &Document<'_>) {
    match document {
        Document::Object(members) => members.iter().for_each(|(_, field)| assert_finite(field)),
        Document::Array(elements) => elements.iter().for_each(assert_finite),
        Document::Text(_) => {}
    }
}

#[test]
fn json_is_read_only_where_it_is_json_and_its_numbers_are_finite() {
    let built_in = routes(None);
    let nested = routes(Some(
        r#"{ name = "n", filter = "n", payload = "value", device = "payload:/meta/ids/1", metric = "temperature", value = "payload:/data/t~1c" },
           { name = "g", filter = "g", payload = "value", device = "payload:id", metric = "temperature", value = "payload:t", each = "payload:items" },
           { name = "a", filter = "a", payload = "metrics", device = "topic:1", each = "payload" }"#,
    ));
    fuzz("json", &corpus("json"), |payload| {
        let is_json = serde_json::from_slice::<IgnoredAny>(payload).is_ok();
        for document in [json(payload), nested_json(payload)].into_iter().flatten() {
            assert!(is_json && !matches!(document, Document::Text(_)));
            assert_document_finite(&document);
        }
        let topics = ["iot/sensor/temperature", "devices/d/telemetry"].map(|topic| place(&built_in, topic, payload));
        (topics, ["n", "g", "a"].map(|topic| place(&nested, topic, payload)))
    });
}

#[test]
fn a_plain_number_is_read_as_the_number_it_is() {
    let routes = routes(Some(r#"{ name = "r", filter = "plant/+", payload = "number", device = "topic:2", metric = "temperature" }"#));
    fuzz("number", &corpus("number"), |payload| {
        if let Ok(document) = number(payload) {
            let text = std::str::from_utf8(payload).unwrap().trim();
            assert_eq!(document.field("value").and_then(Field::number), text.parse().ok());
            assert_document_finite(&document);
        }
        place(&routes, "plant/7", payload)
    });
}

#[test]
fn a_status_is_a_text_or_an_object_and_never_anything_else() {
    let routes = routes(None);
    fuzz("status", &corpus("status"), |payload| {
        if let Ok(Document::Array(elements)) = text_or_json(payload) {
            panic!("{elements:?}");
        }
        place(&routes, "devices/d/status", payload)
    });
}
