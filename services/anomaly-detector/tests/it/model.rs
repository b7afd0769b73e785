//! `model compare`, `export` and `retrain`: on the log of a real broker, and on an archive of it.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use events::{Reading, Timestamp};
use serde_json::{Value, json};
use testkit::{Kit, temperature};

use crate::explain::run;
use crate::series::Healthy;
use crate::stream::TOPICS;

/// The built-in model, with what `change` makes of its description.
fn folder(at: &Path, change: impl Fn(&mut Value)) -> PathBuf {
    let mut manifest: Value = serde_json::from_slice(include_bytes!("../../model/model.json")).unwrap();
    change(&mut manifest);
    std::fs::create_dir_all(at).unwrap();
    std::fs::write(at.join("model.json"), manifest.to_string()).unwrap();
    std::fs::write(at.join("model.onnx"), include_bytes!("../../model/model.onnx")).unwrap();
    at.to_owned()
}

/// Opens at next to nothing, again and again.
fn jumpy(manifest: &mut Value) {
    manifest["version"] = json!("jumpy");
    manifest["calibration"]["open_evidence"] = json!(-6.0);
}

/// Some days of a sensor, with one spike.
fn readings(device: &str, seed: u64, count: usize, end: Timestamp) -> Vec<Reading> {
    let sensor = Healthy { seed, interval_seconds: 300, amplitude: 3.0, noise: 0.2 };
    let readings = sensor.readings(count);
    let shift = end.as_micros() - readings[count - 1].0;
    let spiked =
        readings.into_iter().enumerate().map(|(i, (at, value))| (at + shift, if i == count - count / 10 { value + 15.0 } else { value }));
    spiked.map(|(at, value)| temperature(device, Timestamp::from_micros(at), value)).collect()
}

fn archive() -> String {
    let end = Timestamp::from_millis(1_770_000_000_000);
    (1..=3).flat_map(|seed| readings(&format!("sensor-{seed}"), seed, 1_400, end)).fold(
        "series,timestamp,value\n".to_owned(),
        |mut text, reading| {
            writeln!(text, "{},{},{}", reading.device_id, reading.measured_at.as_micros() as f64 / 1e6, reading.value).unwrap();
            text
        },
    )
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn compare_tells_agreement_alarm_rates_and_what_only_one_opened() {
    let kit = Kit::with_topics(&TOPICS).await;
    let now = Timestamp::from(std::time::SystemTime::now());
    kit.publish(&[readings("sensor-1", 1, 1_000, now), readings("sensor-2", 2, 1_000, now)].concat()).await;
    let scratch = tempfile::tempdir().unwrap();
    let (old, new) = (folder(&scratch.path().join("old"), |_| {}), folder(&scratch.path().join("new"), jumpy));

    let (status, said, problem) = run(&kit, &["model", "compare", text(&old), text(&old), "--since", "7d"]);
    assert_eq!(status, Some(0), "{said}{problem}");
    assert!(said.contains("agree on 100.000 % of readings") && said.contains("of 2 series") && said.contains("0 only by it"), "{said}");

    let (status, said, _) = run(&kit, &["model", "compare", text(&old), text(&new), "--since", "7d"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("the new one is refused: it opens") && said.lines().any(|line| line.starts_with("+ ")), "{said}");

    let (status, said, _) = run(&kit, &["model", "compare", text(&new), text(&old), "--since", "7d"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("the new one is refused: it finds"), "{said}");

    // What is exported says the same as the log.
    let (status, exported, problem) = run(&kit, &["model", "export", "--since", "7d"]);
    assert_eq!(status, Some(0), "{problem}");
    assert_eq!(exported.lines().count(), 2_001);
    let file = scratch.path().join("history.csv");
    std::fs::write(&file, exported).unwrap();
    let (of_log, of_archive) = (
        run(&kit, &["model", "compare", text(&old), text(&new), "--since", "7d"]).1,
        run(&kit, &["model", "compare", text(&old), text(&new), "--archive", text(&file)]).1,
    );
    assert_eq!(of_log.lines().take(4).collect::<Vec<_>>(), of_archive.lines().take(4).collect::<Vec<_>>());
}

#[test]
fn a_retrained_model_replaces_the_present_one_only_when_the_comparison_accepts_it() {
    let scratch = tempfile::tempdir().unwrap();
    let at = |name: &str| scratch.path().join(name);
    std::fs::write(at("history.csv"), archive()).unwrap();
    let into = folder(&at("into"), |_| {});
    // Stands in for train.py, which needs a Python with its packages: copies what it is told to have trained.
    std::fs::write(
        at("train.py"),
        "while [ \"$1\" != --out ]; do [ \"$1\" = --history ] && cp \"$2\" \"$TAUGHT/seen.csv\"; shift; done\ncp -r \"$TAUGHT\" \"$2\"\n",
    )
    .unwrap();
    let retrain = |taught: &Path| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_anomaly-detector"))
            .env(crate::LIBRARY_VARIABLE, crate::library())
            .env("TAUGHT", taught)
            .args(["model", "retrain", "--archive", text(&at("history.csv")), "--into", text(&into), "--python", "/bin/sh"])
            .args(["--trainer", text(scratch.path())])
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap())
    };
    let version = || serde_json::from_slice::<Value>(&std::fs::read(into.join("model.json")).unwrap()).unwrap()["version"].clone();
    let before = version();

    let (status, said) = retrain(&folder(&at("jumpy"), jumpy));
    assert_eq!((status, version()), (Some(1), before.clone()), "{said}");
    let (status, said) = retrain(&folder(&at("better"), |manifest| manifest["version"] = json!("better")));
    assert_eq!((status, version()), (Some(0), json!("better")), "{said}");
    let kept: Value = serde_json::from_slice(&std::fs::read(into.join("previous/model.json")).unwrap()).unwrap();
    assert_eq!(kept["version"], before);
    // It was not taught what it was compared on.
    let taught = std::fs::read_to_string(at("better/seen.csv")).unwrap().lines().count();
    assert!((3_140..3_160).contains(&taught), "three quarters of 4,200: {taught}");

    let (status, said) = retrain(&at("nothing"));
    assert_eq!(status, Some(70), "{said}");
    assert!(said.contains("no model was trained: train.py ended with"), "{said}");
}
