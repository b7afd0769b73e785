//! Every feature of the rule language is shown by a file of rule tests; here all of them run.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use events::Timestamp;
use temperature_alert::domain::Simulation;
use temperature_alert::rule_tests::run;
use testkit::temperature;

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_rule_test_that_is_shipped_passes() {
    let mut failures = Vec::new();
    for file in files() {
        for outcome in run(&file).unwrap_or_else(|problem| panic!("{problem}")) {
            if !outcome.differences.is_empty() {
                failures.push(format!("{}: {}", file.display(), outcome.name));
                failures.extend(outcome.differences.iter().map(|line| format!("  {line}")));
            }
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn a_day_of_a_thousand_devices_is_simulated_in_about_a_second() {
    let rules = std::sync::Arc::new(temperature_alert::language::parse(include_str!("../../src/rules.yaml")).unwrap());
    let mut readings: Vec<_> = (0..1_000).map(|number| temperature(&format!("sensor-{number:03}"), Timestamp::MIN, 21.0)).collect();
    let (mut simulation, started) = (Simulation::new(rules), Instant::now());
    for minute in 0..1_440_i64 {
        let at = Timestamp::from_millis(1_770_000_000_000 + minute * 60_000);
        for (reading, number) in readings.iter_mut().zip(0..) {
            (reading.measured_at, reading.received_at) = (at, at);
            reading.value = if (minute + number) % 300 < 20 { 33.0 } else { 21.0 };
            simulation.take(reading);
        }
    }
    let took = started.elapsed();
    assert_eq!(simulation.alerts().len(), 9_592);
    // A release takes less than a second of a quiet machine; what is shared, or not optimised, is given more.
    let limit = Duration::from_secs(if cfg!(debug_assertions) { 60 } else { 5 });
    assert!(took < limit, "{took:?}");
}
