//! The five services as processes, from an MQTT publish to the event stream.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use events::{AlertState, TemperatureAlert, topics};
use testkit::{Database, Kit, Mosquitto, OtlpReceiver, Process, capture, environment, eventually_within, free_port};

const SERVICES: [&str; 5] = ["mqtt-bridge", "temperature-alert", "anomaly-detector", "outbox-relay", "notifier"];
const KEY: &str = "fw_0123456789abcdefghijklmnopqrstuvwxyz";

struct Suite {
    services: BTreeMap<&'static str, Process>,
    api: String,
    http: reqwest::Client,
    mosquitto: Mosquitto,
    kit: Kit,
    _database: Database,
    _key: tempfile::TempDir,
}

impl Suite {
    async fn start(otlp: Option<&OtlpReceiver>) -> Self {
        let catalogue = stream::admin::Catalogue::parse(topics::CATALOGUE).unwrap();
        let names: Vec<&str> = catalogue.declared().iter().map(|topic| topic.name.as_str()).collect();
        let kit = Kit::with_topics(&names).await;
        let (database, mosquitto, key) = (Database::create().await, Mosquitto::start().await, tempfile::tempdir().unwrap());
        let key_file = key.path().join("api-key");
        std::fs::write(&key_file, KEY).unwrap();
        let api = format!("127.0.0.1:{}", free_port());
        let variables = [
            ("FIELDWATCH__KAFKA__BROKERS", kit.kafka.brokers.clone()),
            ("FIELDWATCH__KAFKA__TOPIC_PREFIX", kit.prefix().to_owned()),
            ("FIELDWATCH__REGISTRY__URL", kit.registry_config.url.clone()),
            ("FIELDWATCH__TELEMETRY__SAMPLE_RATIO", "1.0".to_owned()),
            ("FIELDWATCH__TELEMETRY__OTLP_ENDPOINT", otlp.map(|receiver| receiver.endpoint.clone()).unwrap_or_default()),
            ("OTEL_BSP_SCHEDULE_DELAY", "200".to_owned()),
            ("MQTT_BRIDGE__MQTT__URL", mosquitto.url()),
            ("ANOMALY_DETECTOR__MODEL__RUNTIME_LIBRARY", environment("ANOMALY_DETECTOR__MODEL__RUNTIME_LIBRARY")),
            ("NOTIFIER__DATABASE__URL", database.url.clone()),
            ("NOTIFIER__API__LISTEN", api.clone()),
            ("OUTBOX_RELAY__DATABASE__URL", database.url.clone()),
            ("BOOTSTRAP_KEY_FILE", key_file.display().to_string()),
        ];
        let variables: Vec<_> = variables.map(|(name, value)| (name.to_owned(), value)).into();
        let mut services = BTreeMap::new();
        for name in SERVICES {
            services.insert(name, Process::start(name, &variables).await);
        }
        Self { services, api: format!("http://{api}"), http: reqwest::Client::new(), mosquitto, kit, _database: database, _key: key }
    }

    async fn notifications(&self) -> Vec<String> {
        let mut ids = Vec::new();
        let mut cursor = String::new();
        loop {
            let url = format!("{}/v1/notifications?kind=alert&state=RESOLVED&limit=200{cursor}", self.api);
            let Ok(answer) = self.http.get(url).bearer_auth(KEY).send().await else { return Vec::new() };
            let Ok(page) = answer.json::<serde_json::Value>().await else { return Vec::new() };
            ids.extend(page["data"].as_array().into_iter().flatten().map(|item| item["notification_id"].as_str().unwrap().to_owned()));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return ids,
            }
        }
    }
}

/// Any MQTT client, here `mosquitto_pub` at `QoS` 1; it exits with 0 when every message was acknowledged.
fn publisher(mosquitto: &Mosquitto) -> Child {
    Command::new("mosquitto_pub")
        .args(["-h", "127.0.0.1", "-q", "1", "-l", "-t", "iot/sensor/temperature", "-p", &mosquitto.port.to_string()])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap()
}

fn payload(device: usize, round: usize, value: f64) -> String {
    let at = 1_770_000_000 + round;
    format!("{{\"device_id\": \"sensor-{device:02}\", \"temperature\": {value}, \"timestamp\": {at}}}\n")
}

const DEVICES: usize = 5;
const EXCURSIONS: usize = 40;

/// Publishes excursions of every device, up and down again, one reading a millisecond; calls `half_way` half way.
async fn publish_excursions(suite: &mut Suite, half_way: impl AsyncFnOnce(&mut Suite)) {
    let mut publisher = publisher(&suite.mosquitto);
    let mut input = publisher.stdin.take().unwrap();
    let mut half_way = Some(half_way);
    for round in 0..2 * EXCURSIONS {
        if round == EXCURSIONS
            && let Some(half_way) = half_way.take()
        {
            half_way(suite).await;
        }
        for device in 0..DEVICES {
            let value = if round % 2 == 0 { 31.5 } else { 20.0 };
            input.write_all(payload(device, round, value).as_bytes()).unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    drop(input);
    let acknowledged = tokio::task::spawn_blocking(move || publisher.wait()).await.unwrap().unwrap();
    assert!(acknowledged.success(), "not every reading was acknowledged");
}

async fn every_excursion_has_its_effect(suite: &Suite) {
    let expected = DEVICES * EXCURSIONS;
    let ids = eventually_within(Duration::from_secs(90), &format!("{expected} resolved notifications"), || async {
        let ids = suite.notifications().await;
        (ids.len() >= expected).then_some(ids)
    })
    .await;
    assert_eq!(ids.len(), expected, "no notification too many");
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), expected);
    let mut alerts = capture(&suite.kit, topics::TEMPERATURE_ALERTS);
    let mut changes = BTreeMap::<String, Vec<AlertState>>::new();
    for record in alerts.rest().await {
        let alert: TemperatureAlert = alerts.event(&record).await;
        changes.entry(alert.alert_id).or_default().push(alert.state);
    }
    assert_eq!(changes.len(), expected);
    assert!(changes.values().all(|states| *states == [AlertState::Firing, AlertState::Resolved]), "one FIRING, one RESOLVED each");
    let detector = ["anomaly-detector", "anomaly-detector-aggregates", "anomaly-detector-group"];
    for stage in ["mqtt-bridge", "temperature-alert", "notifier"].into_iter().chain(detector) {
        let topic = topics::dlq(stage);
        assert!(capture(&suite.kit, &topic).rest().await.is_empty(), "{topic} is empty");
    }
}

/// Every reading that was acknowledged to its publisher has its effect, once.
async fn killed_and_restarted_it_loses_nothing(victim: &str) {
    let mut suite = Suite::start(None).await;
    publish_excursions(&mut suite, async |suite| {
        let victim = suite.services.get_mut(victim).unwrap();
        victim.kill();
        victim.restart();
    })
    .await;
    every_excursion_has_its_effect(&suite).await;
    for (name, service) in suite.services {
        assert_eq!(service.terminate().await, Some(0), "{name} drains and exits with 0");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_restarted_mqtt_bridge_loses_nothing() {
    killed_and_restarted_it_loses_nothing("mqtt-bridge").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_restarted_temperature_alert_loses_nothing() {
    killed_and_restarted_it_loses_nothing("temperature-alert").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_restarted_anomaly_detector_loses_nothing() {
    killed_and_restarted_it_loses_nothing("anomaly-detector").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_restarted_outbox_relay_loses_nothing() {
    killed_and_restarted_it_loses_nothing("outbox-relay").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_restarted_notifier_loses_nothing() {
    killed_and_restarted_it_loses_nothing("notifier").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_goes_from_the_mqtt_publish_to_the_event_stream() {
    let otlp = OtlpReceiver::start().await;
    let suite = Suite::start(Some(&otlp)).await;
    let mut stream = suite.http.get(format!("{}/v1/notifications/stream", suite.api)).bearer_auth(KEY).send().await.unwrap();
    assert!(stream.status().is_success());
    let mut publisher = publisher(&suite.mosquitto);
    publisher.stdin.take().unwrap().write_all(payload(1, 0, 31.5).as_bytes()).unwrap();
    assert!(publisher.wait().unwrap().success());

    let mut seen = String::new();
    while !seen.contains("event: notification") {
        let chunk = tokio::time::timeout(Duration::from_secs(30), stream.chunk())
            .await
            .expect("a frame comes")
            .unwrap()
            .expect("the stream stays open");
        seen.push_str(&String::from_utf8_lossy(&chunk));
    }

    // From the frame back: every hop's span, each the child of one before it, up to the bridge's root.
    let wanted = ["mqtt-bridge", "temperature-alert", "notifier", "outbox-relay"];
    let connected = || async {
        let spans = otlp.spans();
        let root = spans.iter().find(|span| span.service == "mqtt-bridge" && span.parent_id.is_empty())?;
        let trace: Vec<_> = spans.iter().filter(|span| span.trace_id == root.trace_id).collect();
        let ids: BTreeSet<_> = trace.iter().map(|span| span.span_id.as_str()).collect();
        let complete = wanted.iter().all(|service| trace.iter().any(|span| span.service == *service));
        let streamed = trace.iter().any(|span| span.service == "notifier" && span.name.starts_with("publish"));
        let whole = trace.iter().all(|span| span.span_id == root.span_id || ids.contains(span.parent_id.as_str()));
        (complete && streamed && whole).then_some(trace.len())
    };
    let spans = eventually_within(Duration::from_secs(20), &format!("one connected trace among {:#?}", otlp.spans()), connected).await;
    eprintln!("{spans} spans in one trace");
}
