//! What files of rule tests cannot ask for: other rules, restored state, a silent source.

use std::sync::Arc;

use events::{AlertState, TemperatureAlert, Timestamp};
use temperature_alert::domain::{Rules, Simulation, source_alert};
use temperature_alert::language;
use testkit::temperature;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_millis(1_770_000_000_000 + minute * 60_000)
}

fn simulation(rule: &str) -> Simulation {
    Simulation::new(rules(rule))
}

fn rules(rule: &str) -> Arc<Rules> {
    Arc::new(language::parse(&format!("rules: [{{id: heat, metric: temperature, severity: WARNING, {rule}}}]")).unwrap())
}

fn one(simulation: &mut Simulation, minute: i64, value: f64) -> TemperatureAlert {
    simulation.take(&temperature("sensor-01", at(minute), value));
    let alerts = simulation.alerts();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    alerts.into_iter().next().unwrap()
}

#[test]
fn a_change_says_the_rule_as_it_is_now() {
    let mut simulation = simulation("above: 28, clear: 27, runbook_url: 'https://runbooks.example/1'");
    let opened = one(&mut simulation, 0, 30.0);
    assert_eq!((opened.threshold, opened.clear_threshold), (Some(28.0), Some(27.0)));
    assert_eq!(opened.runbook_url.as_deref(), Some("https://runbooks.example/1"));

    simulation.replace(rules("above: 25, clear: 24, runbook_url: 'https://runbooks.example/2'"));
    let resolved = one(&mut simulation, 1, 20.0);
    assert_eq!((resolved.alert_id, resolved.state), (opened.alert_id, AlertState::Resolved));
    assert_eq!((resolved.threshold, resolved.clear_threshold), (Some(25.0), Some(24.0)));
    assert_eq!(resolved.runbook_url.as_deref(), Some("https://runbooks.example/2"));
    assert_ne!(resolved.rule_version, opened.rule_version);
}

#[test]
fn a_silent_source_says_which_and_since_when() {
    let silent = source_alert(3, at(0), None);
    assert_eq!(
        (silent.state, silent.summary.as_str()),
        (AlertState::NoData, "no readings in partition 3 since 2026-02-02T02:40:00.000000Z")
    );
    let speaks = source_alert(3, at(0), Some(at(5)));
    assert_eq!((speaks.state, speaks.summary.as_str()), (AlertState::Resolved, "readings of partition 3 are coming in again"));
    assert_eq!((speaks.alert_id, speaks.changed_at), (silent.alert_id, at(5)));
}

#[test]
fn alerts_that_were_active_before_a_restart_fill_the_cap() {
    let rule = "above: 28, max_active: 1";
    let mut before = simulation(rule);
    one(&mut before, 0, 30.0);

    let mut after = simulation(rule);
    after.restore("sensor-01", before.device("sensor-01").unwrap().clone(), at(1));
    after.take(&temperature("sensor-02", at(2), 30.0));
    assert_eq!(after.alerts(), [], "withheld");
    after.take(&temperature("sensor-01", at(3), 20.0));
    after.take(&temperature("sensor-02", at(3), 30.0));
    let said: Vec<_> = after.alerts().into_iter().map(|alert| (alert.device_id, alert.state)).collect();
    assert_eq!(said, [("sensor-01".to_owned(), AlertState::Resolved), ("sensor-02".to_owned(), AlertState::Firing)]);
}

#[test]
fn nothing_is_kept_of_a_device_that_counts_as_retired() {
    let mut simulation = Simulation::new(Arc::new(language::parse("rules: []\nforget_after: 1h").unwrap()));
    simulation.take(&temperature("sensor-01", at(0), 20.0));
    simulation.advance(at(59));
    assert!(simulation.device("sensor-01").is_some());
    simulation.advance(at(60));
    assert!(simulation.device("sensor-01").is_none());
}
