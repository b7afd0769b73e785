//! The probe against real MQTT and a stand-in for the API that answers readings with the notifications they deserve, so
//! that one can be left out. The whole way is measured by `scripts/demo --check`.

use std::convert::Infallible;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use events::Timestamp;
use futures::StreamExt;
use serde_json::{Value, json};
use testkit::{Kit, Mosquitto};
use tokio::sync::broadcast;
use tokio::task::JoinSet;

use crate::devices::Subscriber;
use crate::fieldctl;

const KEY: &str = "fw_probe";

/// Answers every reading above 28 but the first `ignored` ones; returns the API's URL.
async fn api(broker: &Mosquitto, ignored: usize, tasks: &mut JoinSet<()>) -> String {
    let (notifications, _) = broadcast::channel::<String>(10_000);
    let mut subscriber = Subscriber::at(broker).await;
    let sender = notifications.clone();
    tasks.spawn(async move {
        let mut fired = 0;
        loop {
            let reading: Value = serde_json::from_slice(&subscriber.next().await.1).unwrap();
            fired += usize::from(reading["temperature"].as_f64().unwrap() > 28.0);
            if reading["temperature"].as_f64().unwrap() > 28.0 && fired > ignored {
                let opened_at = Timestamp::from_seconds(reading["timestamp"].as_f64().unwrap()).unwrap().to_string();
                let notification = json!({"kind": "alert", "state": "OPEN", "device_id": reading["device_id"], "opened_at": opened_at});
                // Nobody listens after the probe has gone.
                let _ = sender.send(notification.to_string());
            }
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/v1/notifications/stream", get(stream)).with_state(notifications);
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

async fn stream(State(notifications): State<broadcast::Sender<String>>, headers: HeaderMap) -> Response {
    if headers.get("authorization").is_none_or(|key| key != &format!("Bearer {KEY}")) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let snapshot = futures::stream::iter([Ok::<_, Infallible>(Event::default().event("snapshot").data("{}"))]);
    let changes = futures::stream::unfold(notifications.subscribe(), |mut receiver| async move {
        let data = receiver.recv().await.ok()?;
        Some((Ok(Event::default().event("notification").id("1").data(data)), receiver))
    });
    Sse::new(snapshot.chain(changes)).into_response()
}

async fn probe(ignored: usize, key: &str, more: &str) -> crate::Ran {
    let (kit, broker, folder) = (Kit::with_topics(&[]).await, Mosquitto::start().await, tempfile::tempdir().unwrap());
    let mut tasks = JoinSet::new();
    let api = api(&broker, ignored, &mut tasks).await;
    let key_file = folder.path().join("key");
    std::fs::write(&key_file, format!("{key}\n")).unwrap();
    let fixed = format!("probe --mqtt {} --api {api} --key-file {}", broker.url(), key_file.display());
    fieldctl(&kit, &format!("{fixed} --readings 1000 --alerts 60 --devices 7 --rate 2000 {more}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_alert_is_matched_and_timed() {
    let ran = probe(0, KEY, "--json").await;
    assert_eq!(ran.status, fieldctl::SUCCESS, "{ran:?}");
    let report = ran.json().remove(0);
    assert_eq!((&report["readings"], &report["seen"], &report["missing"]), (&1000.into(), &60.into(), &0.into()));
    let latency = |name: &str| report["publish_to_sse_ms"][name].as_f64().unwrap();
    assert!(0.0 < latency("p50") && latency("p50") <= latency("p99") && latency("p99") <= latency("max"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_never_comes_is_a_failure() {
    let ran = probe(2, KEY, "--timeout 1s").await;
    assert_eq!(ran.status, fieldctl::FAILURE, "{ran:?}");
    assert!(ran.out.contains("58 of 60 alerts seen, 2 missing") && ran.out.contains("missing: probe-"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_without_access_ends_the_probe_before_it_publishes() {
    let ran = probe(0, "fw_wrong", "").await;
    assert!(ran.status == fieldctl::FAILURE && ran.err.contains("401"), "{ran:?}");
}
