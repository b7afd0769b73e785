use service::config::{Layers, load};

use super::*;

fn load_with(environment: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    load(&Layers { service: "mqtt-bridge", defaults: DEFAULTS, file: None, environment })
        .map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect())
}

#[test]
fn the_defaults_are_fine_and_hold_the_four_routes() {
    let config = load_with(&[]).unwrap();
    let routes = config.routes().unwrap();
    let filters: Vec<&str> = routes.iter().map(|route| route.filter.as_str()).collect();
    assert_eq!(filters, ["iot/sensor/temperature", "devices/+/telemetry", "devices/+/status", "devices/+/state"]);
    assert_eq!(config.mqtt.max_packet_size, ByteSize::mib(2));
}

#[test]
fn every_mistake_is_named() {
    let mistakes = load_with(&[
        ("MQTT_BRIDGE__MQTT__URL", "broker"),
        ("MQTT_BRIDGE__MQTT__KEEP_ALIVE", "1s"),
        ("MQTT_BRIDGE__MQTT__PASSWORD_FILE", "/nowhere"),
        ("MQTT_BRIDGE__SPOOL__SIZE", "1 MiB"),
        ("MQTT_BRIDGE__LIMITS__PAYLOAD", "3 MiB"),
    ])
    .unwrap_err();
    for expected in ["mqtt.url: ", "mqtt.keep_alive: ", "mqtt.password_file: ", "spool.size: ", "mqtt.max_packet_size: "] {
        assert!(mistakes.iter().any(|mistake| mistake.starts_with(expected)), "{expected} is not in {mistakes:#?}");
    }
    assert_eq!(mistakes.len(), 5, "{mistakes:#?}");
}

#[test]
fn every_mistake_in_a_route_is_named_with_its_place() {
    let first = r#"{ name = "a", filter = "a/#/b", payload = "value", device = "topic:0", tenant = "payload:tenant" }"#;
    let second = r#"{ name = "b", filter = "b", payload = "status", device = "topic:1", metric = "temperature", time = "topic:1" }"#;
    let routes = &format!("[{first}, {second}]");
    let mistakes = load_with(&[("MQTT_BRIDGE__ROUTES", routes)]).unwrap_err();
    for expected in
        ["routes.0.filter: `a/#/b` has `#`", "routes.0.device: ", "routes.0.tenant: ", "routes.0.metric: ", "routes.1.time: ", "routes.1: "]
    {
        assert!(mistakes.iter().any(|mistake| mistake.starts_with(expected)), "{expected} is not in {mistakes:#?}");
    }
    assert_eq!(mistakes.len(), 6, "{mistakes:#?}");
}

#[test]
fn an_unknown_key_of_a_route_is_a_mistake() {
    let routes = r#"[{ name = "a", filter = "a", payload = "metrics", device = "topic:1", topik = "x" }]"#;
    let mistakes = load_with(&[("MQTT_BRIDGE__ROUTES", routes)]).unwrap_err();
    assert!(mistakes.iter().any(|mistake| mistake.contains("topik")), "{mistakes:#?}");
}

#[test]
fn a_topic_for_commands_has_to_tell_devices_apart() {
    for topic in ["devices/commands", "devices/{device}/#"] {
        let mistakes = load_with(&[("MQTT_BRIDGE__COMMANDS__TOPIC", topic)]).unwrap_err();
        assert!(mistakes.len() == 1 && mistakes[0].starts_with("commands.topic: "), "{mistakes:#?}");
    }
    let own = load_with(&[("MQTT_BRIDGE__COMMANDS__TENANTS", r#"{ acme = "acme/{device}/do" }"#)]).unwrap();
    assert_eq!(own.commands.topics().unwrap().of("acme", "d-1").unwrap(), "acme/d-1/do");
}
