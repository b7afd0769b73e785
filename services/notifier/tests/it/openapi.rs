use std::path::PathBuf;

use serde_json::Value;

/// Writes the snapshot anew when `WRITE_SNAPSHOT` is set: look at the difference before it is committed.
#[test]
fn the_description_of_the_api_changes_only_on_purpose() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/openapi.json");
    let now = notifier::adapters::http::document().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("WRITE_SNAPSHOT").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let then = std::fs::read_to_string(&path).unwrap();
    assert!(now == then, "the API's description changed; if that is meant, run this test with WRITE_SNAPSHOT=1");
}

#[test]
fn every_message_has_an_example_and_every_operation_its_problems() {
    let description: Value = serde_json::to_value(notifier::adapters::http::document()).unwrap();
    assert_eq!(description["openapi"], "3.1.0");
    let schemas = &description["components"]["schemas"];
    for message in [
        "Notification",
        "NotificationPage",
        "NotificationEvent",
        "EventPage",
        "Counts",
        "Snapshot",
        "Gap",
        "Problem",
        "Me",
        "StreamTicket",
        "Delivery",
        "RouteExplanation",
        "BulkResult",
        "Receiver",
        "Silence",
        "Escalation",
        "MuteTime",
        "Route",
        "Webhook",
        "Device",
        "DevicePage",
        "TimelineEntry",
        "TimelinePage",
        "Command",
        "CommandPage",
        "CommandNews",
        "Instruction",
        "Scene",
        "SceneIssued",
        "SceneRun",
    ] {
        let schema = &schemas[message];
        assert!(!schema["example"].is_null() || !schema["examples"].is_null(), "{message} has no example");
    }
    for message in ["Notification", "Device", "Command"] {
        let example = &schemas[message]["example"];
        let properties = schemas[message]["properties"].as_object().unwrap();
        assert!(properties.keys().all(|name| !example[name].is_null()), "the example of {message} is not full");
    }
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for status in ["400", "401", "403", "429", "503", "default"] {
                let problem = &operation["responses"][status]["content"]["application/problem+json"];
                assert!(!problem.is_null(), "{method} {path} {status}");
            }
        }
    }
}
