//! The commands as people use them: exit statuses and what they print.

use std::process::{Command, Output};

use events::{TemperatureAlert, Timestamp, topics};
use temperature_alert::{Config, DEFINITION, app};
use testkit::{Kit, Running, capture, temperature};

use crate::alerts::TOPICS;

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_temperature-alert"));
    command.envs(environment.iter().copied()).arg("rules").args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn file(content: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    file
}

#[test]
fn check_names_every_mistake_and_exits_65() {
    let good = file("rules:\n  - {id: a, metric: t, above: 28, severity: INFO}\n");
    let output = run(&["check", good.path().to_str().unwrap()], &[]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), format!("{}: 1 rules are fine\n", good.path().display())));
    let bad = file("rules:\n  - {id: a, metric: t, above: 28, clear: 30, severity: LOW}\n");
    let output = run(&["check", bad.path().to_str().unwrap()], &[]);
    let expected = format!(
        "{}: line 2, column 42: clear (30) lies beyond the threshold that fires (28)\n  \
         line 2, column 56: severity `LOW` is none of INFO, WARNING, CRITICAL\n",
        bad.path().display()
    );
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(65), expected));
}

#[test]
fn a_failing_test_shows_what_was_expected_beside_what_was_announced() {
    let tests = file(
        "rules:\n  - {id: a, metric: temperature, above: 28, severity: INFO}\ntests:\n  - name: fires later\n    \
         series: [{device: d, every: 1m, values: 20 29 20}]\n    expect: [{at: 2m, state: FIRING}, {at: 2m, state: RESOLVED}]\n",
    );
    let path = tests.path().to_str().unwrap();
    let output = run(&["test", path], &[]);
    let expected = format!(
        "FAILED {path}: fires later\n    - expected, + announced\n    \
         + 1m Firing device=d rule=a severity=Info reason=Crossed value=29 threshold=28 started=1m evidence=1 labels={{}} \
         summary=\"d: temperature 29 Cel is above 28 Cel\"\n    \
         - 2m Firing\n    \
         \x20 2m Resolved device=d rule=a severity=Info reason=Cleared value=20 threshold=28 started=1m evidence=1 labels={{}} \
         summary=\"d: temperature 20 Cel is back at or below 28 Cel\"\n\
         0 passed, 1 failed\n"
    );
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_and_backtest_read_the_topics_of_a_real_broker() {
    let kit = Kit::with_topics(&TOPICS).await;
    let config: Config = kit.config(DEFINITION.name, DEFINITION.defaults, &[]);
    let service = Running::start(config, app::start).await;
    service.ready().await;
    let now = Timestamp::from(std::time::SystemTime::now()).as_millis() - 60_000;
    let at = |second: i64| Timestamp::from_millis(now + second * 1_000);
    kit.publish(&[
        temperature("sensor-01", at(0), 20.0),
        temperature("sensor-01", at(1), 30.0),
        temperature("sensor-02", at(2), 30.0),
        temperature("sensor-02", at(3), 20.0),
        temperature("sensor-03", at(4), 36.0),
    ])
    .await;
    let _: Vec<TemperatureAlert> = capture(&kit, topics::TEMPERATURE_ALERTS).events(4).await;
    service.stop().await.unwrap();
    // Not seen by the service: the log is ahead of the snapshots.
    kit.publish(&[temperature("sensor-01", at(5), 26.0), temperature("sensor-02", at(6), 31.0)]).await;

    let environment = ["FIELDWATCH__KAFKA__BROKERS", "FIELDWATCH__REGISTRY__URL"].map(|name| (name, testkit::environment(name)));
    let mut environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    environment.push(("FIELDWATCH__KAFKA__TOPIC_PREFIX", kit.prefix()));

    let explain = |device: &str| {
        let output = run(&["explain", "--device", device], &environment);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let said = explain("sensor-01");
    assert!(said.contains("snapshot of partition"), "{said}");
    assert!(said.contains("high-temperature Resolved Warning (Cleared)") && said.contains("(above 28, clear 27): normal"), "{said}");
    let said = explain("sensor-02");
    assert!(said.contains("1 readings of it since then"), "{said}");
    assert!(said.contains("firing until a reading at the clear threshold 27; open alert since"), "{said}");
    assert!(explain("sensor-99").contains("nothing is known of this device"));

    let rules = file("rules:\n  - {id: high-temperature, metric: temperature, above: 30, severity: WARNING}\n");
    let output = run(&["backtest", rules.path().to_str().unwrap(), "--since", "7d"], &environment);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    let counts = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let row = said.lines().find(|line| line.starts_with("high-temperature")).unwrap_or_else(|| panic!("{said}"));
    // Would: sensor-02 (31) and sensor-03 (36); did: sensor-01, sensor-02 (30) and sensor-03.
    assert_eq!(counts(row), ["high-temperature", "2", "3", "1", "1", "2"], "{said}");
    assert!(said.contains(&format!("- {} high-temperature sensor-01 temperature", at(1))), "{said}");
    assert!(said.contains(&format!("+ {} high-temperature sensor-02 temperature", at(6))), "{said}");
}
