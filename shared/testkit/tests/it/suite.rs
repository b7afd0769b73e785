//! The services as processes, from an MQTT publish to the event stream and back to the device.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use events::{AlertState, TemperatureAlert, topics};
use reqwest::Method;
use serde_json::json;
use stream::OutRecord;
use testkit::{
    Answer, Api, Kit, Lamps, Mosquitto, OtlpReceiver, SERVICES, Span, Suite, What, binary, capture, catalogue, eventually_within,
};

async fn whole_suite() -> Suite {
    let mut suite = Suite::new(Kit::with_all_topics().await).await;
    suite.start(&SERVICES).await;
    suite
}

async fn traced_suite(otlp: &OtlpReceiver) -> Suite {
    let mut suite = Suite::new(Kit::with_all_topics().await).await.traced(otlp);
    suite.start(&SERVICES).await;
    suite
}

/// Ids of all resolved notifications of alerts.
async fn resolved(api: &Api) -> Vec<String> {
    let list = api.list("/v1/notifications?kind=alert&state=RESOLVED&limit=200").await.unwrap_or_default();
    list.iter().map(|item| item["notification_id"].as_str().unwrap().to_owned()).collect()
}

/// Any MQTT client, here `mosquitto_pub` at `QoS` 1; it exits with 0 when every message was acknowledged.
fn publisher(mosquitto: &Mosquitto) -> Child {
    Command::new("mosquitto_pub")
        .args(["-h", "127.0.0.1", "-q", "1", "-l", "-t", "iot/sensor/temperature", "-p", &mosquitto.port.to_string()])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Every line is a message; all are acknowledged.
fn publish_all(mosquitto: &Mosquitto, lines: &str) {
    let mut publisher = publisher(mosquitto);
    publisher.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    assert!(publisher.wait().unwrap().success());
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
        let ids = resolved(&suite.api).await;
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
    let mut suite = whole_suite().await;
    publish_excursions(&mut suite, async |suite| {
        let victim = suite.services.get_mut(victim).unwrap();
        victim.kill();
        victim.restart();
    })
    .await;
    every_excursion_has_its_effect(&suite).await;
    suite.terminate().await;
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

/// The spike's end.
const SPIKE: u32 = 853;

/// Days of a gentle cycle, a reading every five minutes, a quarter of an hour that is far out, and calm again.
fn spike_after_calm(readings: u32) -> String {
    let wave = |step: u32| (f64::from(step) / 288.0 * std::f64::consts::TAU).sin() + 0.05 * f64::from((step * 7_919) % 13);
    let reading = |step: u32| {
        let spike = if (SPIKE - 3..SPIKE).contains(&step) { 25.0 } else { 0.0 };
        let reading = serde_json::json!({ "device_id": "sensor-01", "temperature": 21.0 + wave(step) + spike, "timestamp": 1_770_000_000 + step * 300 });
        reading.to_string() + "\n"
    };
    (0..readings).map(reading).collect()
}

/// The trace of the span that `is_root` names, when it is whole: every other span in it is the child of one of it, and linked to
/// the context that its message carried.
fn whole_trace(otlp: &OtlpReceiver, is_root: impl Fn(&Span) -> bool) -> Option<Vec<Span>> {
    let spans = otlp.spans();
    let root = spans.iter().find(|span| span.parent_id.is_empty() && is_root(span))?;
    let trace: Vec<Span> = spans.iter().filter(|span| span.trace_id == root.trace_id).cloned().collect();
    let ids: BTreeSet<_> = trace.iter().map(|span| span.span_id.clone()).collect();
    let follows = |span: &Span| ids.contains(&span.parent_id) && span.links.contains(&(span.trace_id.clone(), span.parent_id.clone()));
    trace.iter().all(|span| span.span_id == root.span_id || follows(span)).then_some(trace)
}

fn says(trace: &[Span], service: &str, name: &str) -> bool {
    trace.iter().any(|span| span.service == service && span.name == name)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_goes_from_the_mqtt_publish_to_the_event_stream() {
    let otlp = OtlpReceiver::start().await;
    let suite = traced_suite(&otlp).await;
    let mut stream = suite.api.request(Method::GET, "/v1/notifications/stream").send().await.unwrap();
    assert!(stream.status().is_success());
    publish_all(&suite.mosquitto, &spike_after_calm(900));

    let mut seen = String::new();
    let both = async {
        while !(seen.contains("\"alert\"") && seen.contains("\"anomaly\"")) {
            let chunk = stream.chunk().await.unwrap().expect("the stream stays open");
            seen.push_str(&String::from_utf8_lossy(&chunk));
        }
    };
    let in_time = tokio::time::timeout(Duration::from_mins(1), both).await;
    assert!(in_time.is_ok(), "an alert and an anomaly come on the stream, not only: {seen}");

    // The readings that were far out: each service took its message out of the topic before it, and the frame is the last.
    let prefixed = |topic: &str| suite.kit.kafka.prefixed(topic);
    let told = [("outbox-relay", format!("publish {}", prefixed(topics::NOTIFICATIONS))), ("notifier", "publish sse".to_owned())];
    for (watcher, topic) in [("temperature-alert", topics::TEMPERATURE_ALERTS), ("anomaly-detector", topics::ANOMALIES)] {
        let taken = [(watcher, format!("process {}", prefixed(topics::READINGS))), ("notifier", format!("process {}", prefixed(topic)))];
        let hops: Vec<_> = taken.into_iter().chain(told.clone()).collect();
        let connected = || async {
            let ids: BTreeSet<_> = otlp.spans().iter().filter(|span| span.service == watcher).map(|span| span.trace_id.clone()).collect();
            ids.iter().find_map(|id| {
                let trace = whole_trace(&otlp, |span| span.service == "mqtt-bridge" && span.trace_id == *id)?;
                hops.iter().all(|(service, name)| says(&trace, service, name)).then_some(trace.len())
            })
        };
        let what = format!("one connected trace from the bridge through {watcher} to the frame");
        let spans = eventually_within(Duration::from_secs(20), &what, connected).await;
        eprintln!("{spans} spans in one trace through {watcher}");
    }
}

/// Decision, action and its check: a device is switched because a model is sure that something is wrong with it.
#[tokio::test(flavor = "multi_thread")]
async fn one_trace_goes_from_a_reading_through_an_anomaly_and_a_route_to_a_verified_action() {
    let otlp = OtlpReceiver::start().await;
    let suite = traced_suite(&otlp).await;
    let lamps = Lamps::start(&suite.mosquitto, &["sensor-01".to_owned()], |_, _, _| Answer::Obey).await;
    let command = json!({ "name": "cool", "desired_state": { "fan": "on" } });
    suite.api.put("/v1/receivers/cooling", &json!({ "commands": [command] })).await;
    let sure = json!({ "matchers": ["kind=\"anomaly\"", "confidence>0.7"], "receiver": "cooling" });
    suite.api.put("/v1/routes", &json!({ "receiver": "none", "routes": [sure] })).await;
    // Nobody acts for an anomaly that is over.
    publish_all(&suite.mosquitto, &spike_after_calm(SPIKE));

    let verified = || async {
        let page = suite.api.get("/v1/commands?device_id=sensor-01&state=VERIFIED").await?;
        page["data"].as_array()?.first().cloned()
    };
    let command = eventually_within(Duration::from_mins(1), "the device is switched", verified).await;
    assert_eq!((&command["name"], &command["issued_by"]), (&json!("cool"), &json!("route:cooling")));
    let id = command["command_id"].as_str().unwrap();
    let done = lamps.happened().into_iter().filter(|one| one.what == What::Done && one.command_id == id).count();
    assert_eq!(done, 1);

    let prefixed = |topic: &str| suite.kit.kafka.prefixed(topic);
    let hops = [
        ("anomaly-detector", format!("process {}", prefixed(topics::READINGS))),
        ("notifier", format!("process {}", prefixed(topics::ANOMALIES))),
        ("outbox-relay", format!("publish {}", prefixed(topics::COMMANDS))),
        ("device-commands", format!("process {}", prefixed(topics::COMMANDS))),
        ("mqtt-bridge", "publish devices/{device}/commands".to_owned()),
        ("device-commands", format!("process {}", prefixed(topics::DEVICE_STATE))),
        ("notifier", format!("process {}", prefixed(topics::COMMAND_RESULTS))),
    ];
    let connected = || async {
        let ids: BTreeSet<_> =
            otlp.spans().iter().filter(|span| span.service == "device-commands").map(|span| span.trace_id.clone()).collect();
        ids.iter().find_map(|id| {
            let trace = whole_trace(&otlp, |span| span.service == "mqtt-bridge" && span.trace_id == *id)?;
            hops.iter().all(|(service, name)| says(&trace, service, name)).then_some(trace)
        })
    };
    let trace = eventually_within(Duration::from_secs(20), "one connected trace from the reading to the verified action", connected).await;
    for span in &trace {
        eprintln!("{}: {}", span.service, span.name);
    }
    suite.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_goes_through_the_dead_letter_queue_and_a_redrive() {
    let otlp = OtlpReceiver::start().await;
    let suite = traced_suite(&otlp).await;
    publish_all(&suite.mosquitto, "not a reading\n");
    // A record that no stage can read, from a producer that has a trace of its own.
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let record = OutRecord::new(suite.kit.kafka.prefixed(topics::READINGS), Some(b"sensor-01".to_vec()), Some(b"not avro".to_vec()));
    suite.kit.publish_records(vec![record.header("traceparent", Some(parent.as_bytes()))]).await;

    for service in ["mqtt-bridge", "temperature-alert"] {
        let (letter, retry) = (format!("publish {}", suite.kit.kafka.prefixed(&topics::dlq(service))), topics::retry(service));
        let of_service = |span: &&Span| span.service == service && span.name == letter;
        eventually_within(Duration::from_secs(20), &letter, || async { otlp.spans().iter().find(of_service).map(|_| ()) }).await;
        let redriven = Command::new(binary("fieldctl"))
            .args(["dlq", "redrive", "--service", service])
            .envs(suite.environment().iter().cloned())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&redriven.stdout).into_owned();
        assert!(said.contains(&format!("1 redriven to {}", suite.kit.kafka.prefixed(&retry))), "{said}{redriven:?}");
        // It fails again: the second letter goes on from the first.
        let again = || async {
            let spans = otlp.spans();
            let first = spans.iter().find(of_service)?;
            let mut earlier = vec![first.span_id.clone()];
            for span in spans.iter().filter(|span| span.trace_id == first.trace_id) {
                let linked = span.links.contains(&(span.trace_id.clone(), span.parent_id.clone()));
                if earlier.contains(&span.parent_id) && linked {
                    earlier.push(span.span_id.clone());
                }
            }
            let letters = spans.iter().filter(|span| span.name == letter && earlier.contains(&span.span_id)).count();
            (letters == 2 && !first.parent_id.is_empty()).then(|| first.clone())
        };
        let first = eventually_within(Duration::from_secs(20), &format!("a second {letter} in the trace"), again).await;
        if service == "temperature-alert" {
            assert_eq!((first.trace_id.as_str(), first.parent_id.as_str()), (trace, "00f067aa0ba902b7"));
        }
    }
    for name in catalogue().iter().filter(|name| name.starts_with("dlq.")) {
        capture(&suite.kit, name).rest().await;
    }
}
