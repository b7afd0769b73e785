//! A changed model folder is in force without a restart; one that is refused changes nothing.

use std::path::Path;

use events::{Anomaly, AnomalyState, topics};
use testkit::{Kit, capture, eventually};

use crate::stream::{TOPICS, series, start_with};

/// As a mounted volume does it: another file in the place of the one before.
fn put(folder: &Path, name: &str, bytes: &[u8]) {
    let next = folder.join("next");
    std::fs::write(&next, bytes).unwrap();
    std::fs::rename(next, folder.join(name)).unwrap();
}

/// The built-in model under another version.
fn manifest(version: &str) -> Vec<u8> {
    let mut manifest: serde_json::Value = serde_json::from_slice(include_bytes!("../../model/model.json")).unwrap();
    manifest["version"] = version.into();
    manifest.to_string().into_bytes()
}

fn refused() -> bool {
    telemetry::metrics::gauge("fieldwatch_model_refused", &[]).get() > 0.0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_model_takes_over_and_one_that_is_refused_does_not() {
    let graph = include_bytes!("../../model/model.onnx");
    let kit = Kit::with_topics(&TOPICS).await;
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "model.onnx", graph);
    put(folder.path(), "model.json", &manifest("1"));
    let service = start_with(&kit, &[("ANOMALY_DETECTOR__MODEL__FOLDER", folder.path().to_str().unwrap())]).await;
    let mut anomalies = capture(&kit, topics::ANOMALIES);

    // What version 1 opens stays its own until it closes.
    let first = series("sensor-1");
    kit.publish(&first[..401]).await;
    let opened: Anomaly = anomalies.events(1).await.remove(0);
    assert_eq!((opened.state, opened.model.version.as_str()), (AnomalyState::Opened, "1"));

    // Half of a graph: its digest is another than the description names.
    put(folder.path(), "model.onnx", &graph[..graph.len() / 2]);
    eventually("the half graph is refused", || async { refused().then_some(()) }).await;
    assert!(service.health.not_ready().is_empty(), "the service goes on");
    let second = series("sensor-2");
    kit.publish(&second[..401]).await;
    let by_the_one_before: Anomaly = anomalies.events(1).await.remove(0);
    assert_eq!((by_the_one_before.state, by_the_one_before.model.version.as_str()), (AnomalyState::Opened, "1"));

    put(folder.path(), "model.onnx", graph);
    put(folder.path(), "model.json", &manifest("2"));
    eventually("the whole one is taken over", || async { (!refused()).then_some(()) }).await;
    let mut third = series("sensor-3");
    kit.publish(&third[..400]).await;
    // The new model may still be on its way to the workers: each spike is another device's, until one is its.
    let taken_over = async {
        for device in 4.. {
            third = series(&format!("sensor-{device}"));
            kit.publish(&third[..401]).await;
            let opened: Anomaly = anomalies.events(1).await.remove(0);
            if opened.model.version == "2" {
                break;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), taken_over).await.unwrap();
    kit.publish(&first[401..]).await;
    let closed: Anomaly = anomalies.events(1).await.remove(0);
    assert_eq!((closed.state, closed.model.version.as_str(), &closed.anomaly_id), (AnomalyState::Closed, "1", &opened.anomaly_id));
    service.stop().await.unwrap();
}
