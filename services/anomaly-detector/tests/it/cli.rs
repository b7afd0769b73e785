//! The binary as people use it: exit statuses and what it prints.

use std::process::{Command, Output};

use crate::{LIBRARY_VARIABLE, library};

fn run(arguments: &[&str], csv: &str) -> Output {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), csv).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_anomaly-detector"));
    command.env_remove(LIBRARY_VARIABLE).arg(arguments[0]).arg(file.path()).args(&arguments[1..]);
    command.output().unwrap()
}

fn csv(count: u32) -> String {
    let row = |i: u32| format!("{},{}\n", 1_700_000_000 + i * 60, f64::from(i % 7) + if i == 400 { 500.0 } else { 0.0 });
    "timestamp,value\n".to_owned() + &(0..count).map(row).collect::<String>()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn score_writes_one_score_a_reading_and_the_spike_scores_highest() {
    let library = library();
    let output = run(&["score", "--runtime-library", library.to_str().unwrap()], &csv(500));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
    assert_eq!(lines[0], "timestamp,value,score");
    let scores: Vec<f32> = lines[1..].iter().map(|l| l.rsplit(',').next().unwrap().parse().unwrap()).collect();
    assert_eq!(scores.len(), 500);
    assert!(scores.iter().all(|s| (0.0..=1.0).contains(s)));
    assert!(scores[400] > 0.8, "{}", scores[400]);
    assert!(scores[100..400].iter().all(|s| *s < 0.8));
}

#[test]
fn the_model_folder_and_the_built_in_model_score_alike() {
    let library = library();
    let arguments = ["score", "--band", "--runtime-library", library.to_str().unwrap()];
    let built_in = run(&arguments, &csv(300));
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/model");
    let read = run(&[&arguments[..], &["--model", folder]].concat(), &csv(300));
    assert!(read.status.success());
    assert_eq!(built_in.stdout, read.stdout);
    assert!(text(&read.stdout).starts_with("timestamp,value,expected,band_low,band_high,score\n"));
}

#[test]
fn a_bad_line_exits_65_and_is_named_unless_it_is_to_be_skipped() {
    let bad = "timestamp,value\n0,1\n60,NaN\n120,2\n";
    let output = run(&["features"], bad);
    assert_eq!(output.status.code(), Some(65));
    assert_eq!(text(&output.stderr), "anomaly-detector: line 3: \"NaN\" is not finite\n");
    let output = run(&["features", "--skip-bad"], bad);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout).lines().count(), 3);
    assert!(text(&output.stderr).contains("skipped line 3"));
}

#[test]
fn a_library_that_is_not_given_or_not_there_exits_64_with_one_line() {
    let output = run(&["score"], &csv(10));
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains(LIBRARY_VARIABLE), "{}", text(&output.stderr));
    let output = run(&["score", "--runtime-library", "/nowhere/libonnxruntime.so"], &csv(10));
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("/nowhere/libonnxruntime.so"), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr).lines().count(), 1);
}

#[test]
fn a_library_of_another_kind_is_refused_without_a_panic() {
    let other = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(other.path(), "no library").unwrap();
    let output = run(&["score", "--runtime-library", other.path().to_str().unwrap()], &csv(10));
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("cannot be used as the ONNX Runtime"), "{}", text(&output.stderr));
}

#[test]
fn a_missing_model_folder_exits_64_and_a_missing_file_66() {
    let output = run(&["score", "--model", "/nowhere"], &csv(10));
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("/nowhere/model.json"), "{}", text(&output.stderr));
    let output = Command::new(env!("CARGO_BIN_EXE_anomaly-detector")).args(["features", "/nowhere/x.csv"]).output().unwrap();
    assert_eq!(output.status.code(), Some(66));
}
