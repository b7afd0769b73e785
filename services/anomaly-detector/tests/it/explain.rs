//! `explain` on a real broker: a snapshot, the log behind it, and what was announced.

use std::process::Command;

use events::{Anomaly, topics};
use testkit::{Kit, capture};

use crate::stream::{TOPICS, series, start};
use crate::{LIBRARY_VARIABLE, library};

pub(crate) fn run(kit: &Kit, arguments: &[&str]) -> (Option<i32>, String, String) {
    let environment = ["FIELDWATCH__KAFKA__BROKERS", "FIELDWATCH__REGISTRY__URL"].map(|name| (name, testkit::environment(name)));
    let output = Command::new(env!("CARGO_BIN_EXE_anomaly-detector"))
        .envs(environment)
        .env("FIELDWATCH__KAFKA__TOPIC_PREFIX", kit.prefix())
        .env(LIBRARY_VARIABLE, library())
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_says_what_the_scores_since_the_snapshot_were_made_of() {
    let kit = Kit::with_topics(&TOPICS).await;
    let service = start(&kit).await;
    let readings = series("sensor-1");
    kit.publish(&readings[..401]).await;
    let opened: Anomaly = capture(&kit, topics::ANOMALIES).events(1).await.remove(0);
    service.stop().await.unwrap();
    // Not seen by the service: the log is ahead of the snapshot.
    kit.publish(&readings[401..405]).await;

    let (status, said, problem) = run(&kit, &["explain", "--device", "sensor-1"]);
    assert_eq!(status, Some(0), "{problem}");
    assert!(said.starts_with("sensor-1: snapshot of partition "), "{said}");
    assert!(said.contains("4 readings scored since then, 0 repeated, 0 late"), "{said}");
    assert!(said.contains(&format!("temperature: an anomaly is open since {}", opened.started_at)), "{said}");
    let row = said.lines().find(|line| line.contains(&readings[401].measured_at.to_string())).unwrap_or_else(|| panic!("{said}"));
    assert!(row.contains("(expected ") && row.contains("score ") && row.contains(" %"), "{row}");
    let announced = said.lines().last().unwrap();
    assert!(announced.contains("temperature Opened") && announced.contains(&opened.contributions[0].feature), "{said}");

    let (_, said, _) = run(&kit, &["explain", "--device", "sensor-1", "--whole-log", "--scores", "500"]);
    let row = said.lines().find(|line| line.contains(" OPENED; ")).unwrap_or_else(|| panic!("{said}"));
    assert!(row.contains(&format!("score {:.3}", opened.score)) && row.contains(&opened.contributions[0].feature), "{row}");

    let (_, said, _) = run(&kit, &["explain", "--device", "nobody"]);
    assert!(said.contains("nothing is known of this device"), "{said}");
}
