//! What files of rule tests cannot ask for: other rules, restored state, a silent source.

use std::sync::Arc;

use events::{AlertReason, AlertState, Severity, TemperatureAlert, Timestamp};
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

/// What was announced since: of which device or rule, and in what state.
fn said(simulation: &mut Simulation, of: impl Fn(&TemperatureAlert) -> &str) -> Vec<(String, AlertState)> {
    simulation.alerts().iter().map(|alert| (of(alert).to_owned(), alert.state)).collect()
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

#[test]
fn a_restored_alert_counts_once_beside_one_that_was_there() {
    let rule = "above: 28, max_active: 3";
    let mut before = simulation(rule);
    let mut after = simulation(rule);
    for device in ["sensor-01", "sensor-02"] {
        before.take(&temperature(device, at(0), 30.0));
        after.restore(device, before.device(device).unwrap().clone(), at(1));
    }
    for device in ["sensor-03", "sensor-04"] {
        after.take(&temperature(device, at(2), 30.0));
    }
    assert_eq!(said(&mut after, |alert| &alert.device_id), [("sensor-03".to_owned(), AlertState::Firing)], "two and one are three");
    assert_eq!(after.time(), at(2));
}

#[test]
fn an_alert_that_ends_makes_room_below_the_cap_whatever_ended_it() {
    // Readings that come back end what began in silence.
    let mut silence = simulation("above: 28, no_data: 10m, max_active: 1");
    silence.take(&temperature("sensor-01", at(0), 20.0));
    silence.advance(at(10));
    silence.take(&temperature("sensor-01", at(11), 20.0));
    silence.take(&temperature("sensor-02", at(11), 30.0));
    let states = said(&mut silence, |alert| &alert.device_id);
    assert_eq!(
        states,
        [("sensor-01", AlertState::NoData), ("sensor-01", AlertState::Resolved), ("sensor-02", AlertState::Firing)]
            .map(|(device, state)| (device.to_owned(), state))
    );
    // A device that counts as retired.
    let capped = "rules: [{id: heat, metric: temperature, severity: WARNING, above: 28, max_active: 1}]\nforget_after: 1h";
    let mut retired = Simulation::new(Arc::new(language::parse(capped).unwrap()));
    retired.take(&temperature("sensor-01", at(0), 30.0));
    retired.take(&temperature("sensor-02", at(61), 30.0));
    assert_eq!(said(&mut retired, |alert| &alert.device_id).last().unwrap(), &("sensor-02".to_owned(), AlertState::Firing));
}

#[test]
fn an_alert_climbs_within_its_schedule_and_not_outside_of_it() {
    // 2026-02-02 is a Monday; the minutes are of 02:40 UTC.
    let rule =
        |hours: &str| format!("above: 28, ladder: [{{at: 35, severity: CRITICAL}}], schedule: {{days: [mon], {hours}, time_zone: UTC}}");
    let mut within = simulation(&rule("from: '02:00', to: '03:00'"));
    assert_eq!(one(&mut within, 0, 30.0).severity, Severity::Warning);
    let climbed = one(&mut within, 1, 36.0);
    assert_eq!((climbed.severity, climbed.reason), (Severity::Critical, AlertReason::SeverityChanged));

    let mut outside = simulation(&rule("from: '02:00', to: '02:41'"));
    one(&mut outside, 0, 30.0);
    outside.take(&temperature("sensor-01", at(1), 36.0));
    assert_eq!(outside.alerts(), []);
}

#[test]
fn an_alert_that_flaps_climbs_and_does_not_come_down() {
    let mut simulation = simulation("above: 28, flapping: {count: 2, within: 30m, calm: 1h}, ladder: [{at: 35, severity: CRITICAL}]");
    for minute in 0..7 {
        simulation.take(&temperature("sensor-01", at(minute), if minute % 2 == 0 { 30.0 } else { 20.0 }));
    }
    assert_eq!(simulation.alerts().last().unwrap().reason, AlertReason::Suppressed);
    let climbed = one(&mut simulation, 7, 36.0);
    assert_eq!((climbed.severity, climbed.reason), (Severity::Critical, AlertReason::SeverityChanged));
    simulation.take(&temperature("sensor-01", at(8), 30.0));
    assert_eq!(simulation.alerts(), []);
}

#[test]
fn readings_that_come_back_too_hot_end_the_silence_and_begin_another_alert() {
    let rule = "above: 28, no_data: 10m";
    let states = |minute: i64| {
        let mut simulation = simulation(rule);
        simulation.take(&temperature("sensor-01", at(0), 20.0));
        simulation.advance(at(10));
        let mut reading = temperature("sensor-01", at(minute), 30.0);
        reading.received_at = at(15);
        simulation.take(&reading);
        simulation.alerts().into_iter().map(|alert| alert.state).collect::<Vec<_>>()
    };
    assert_eq!(states(12), [AlertState::NoData, AlertState::Resolved, AlertState::Firing]);
    // Measured the very instant the silence began: another alert would have its id, so it waits for the next reading.
    assert_eq!(states(10), [AlertState::NoData, AlertState::Resolved]);
}

#[test]
fn of_a_rule_at_rest_nothing_is_kept() {
    let mut simulation = simulation("above: 28, for: 5m");
    let kept = |simulation: &Simulation| {
        let metric = &simulation.device("sensor-01").unwrap().metrics[0];
        metric.judged(simulation.rules()).map(|(rule, _, excursion)| (rule.id.clone(), excursion.is_some())).collect::<Vec<_>>()
    };
    simulation.take(&temperature("sensor-01", at(0), 20.0));
    assert_eq!(kept(&simulation), [("heat".to_owned(), false)]);
    simulation.take(&temperature("sensor-01", at(1), 30.0));
    assert_eq!(kept(&simulation), [("heat".to_owned(), true)]);
    simulation.take(&temperature("sensor-01", at(2), 20.0));
    assert_eq!(kept(&simulation), [("heat".to_owned(), false)]);
}

#[test]
fn below_works_on_both_sides_of_zero() {
    let mut simulation = simulation("below: 5");
    simulation.take(&temperature("sensor-01", at(0), 6.0));
    assert_eq!(simulation.alerts(), []);
    assert_eq!(one(&mut simulation, 1, -10.0).state, AlertState::Firing);
}

#[test]
fn each_rule_hears_the_silence_at_its_own_time() {
    let yaml = "rules: [{id: a, metric: temperature, severity: WARNING, above: 28, no_data: 30m}, {id: b, metric: temperature, severity: WARNING, above: 27, for: 1h}, {id: c, metric: temperature, severity: WARNING, above: 29, no_data: 10m}]";
    let mut simulation = Simulation::new(Arc::new(language::parse(yaml).unwrap()));
    simulation.take(&temperature("sensor-01", at(0), 27.5));
    let silent = |rule: &str| vec![(rule.to_owned(), AlertState::NoData)];
    simulation.advance(at(9));
    assert_eq!(simulation.alerts(), []);
    simulation.advance(at(10));
    assert_eq!(said(&mut simulation, |alert| &alert.rule_id), silent("c"));
    simulation.advance(at(30));
    assert_eq!(said(&mut simulation, |alert| &alert.rule_id), silent("a"));
    simulation.advance(at(300));
    assert_eq!(simulation.alerts(), [], "once each");
    simulation.take(&temperature("sensor-01", at(301), 20.0));
    let heard = ["a", "c"].map(|rule| (rule.to_owned(), AlertState::Resolved));
    assert_eq!(said(&mut simulation, |alert| &alert.rule_id), heard);
}

#[test]
fn a_timer_that_moves_earlier_rings_earlier() {
    let rule = |no_data: &str| format!("above: 28, no_data: {no_data}");
    let mut simulation = simulation(&rule("30m"));
    simulation.take(&temperature("sensor-01", at(0), 20.0));
    simulation.replace(rules(&rule("10m")));
    simulation.advance(at(12));
    let silent = simulation.alerts();
    assert_eq!(silent.iter().map(|alert| (alert.state, alert.changed_at)).collect::<Vec<_>>(), [(AlertState::NoData, at(10))]);
}

#[test]
fn other_rules_have_another_fingerprint() {
    assert_ne!(rules("above: 28").fingerprint(), rules("above: 29").fingerprint());
    assert_eq!(rules("above: 28").fingerprint(), rules("above: 28").fingerprint());
}
