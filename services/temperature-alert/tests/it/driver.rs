//! The same log leads to the same alerts, whatever is cut, where and how often; and the alerts keep their order.

use std::collections::BTreeMap;
use std::sync::Arc;

use events::codec::SchemaId;
use events::{AlertState, Reading, TemperatureAlert, Timestamp};
use proptest::prelude::*;
use stream::EventWriter;
use stream::operator::driver::{Driver, Said};
use temperature_alert::domain::{Rules, Simulation};
use temperature_alert::language;
use temperature_alert::operator::AlertOperator;
use testkit::{cut, temperature};

/// Every feature at once.
const RULES: &str = r#"
rules:
  - {id: plain, metric: temperature, above: 28, clear: 27, severity: WARNING}
  - {id: long, metric: temperature, above: 28, clear: 26, for: 3m, keep_firing_for: 2m, severity: INFO, ladder: [{at: 31, clear: 30, severity: CRITICAL}]}
  - {id: often, metric: temperature, above: 29, repeat: {count: 2, of: 4}, flapping: {count: 2, within: 30m, calm: 5m}, severity: WARNING}
  - {id: jump, metric: temperature, above: 5, clear: 1, change_over: 4m, severity: WARNING}
  - {id: lost, metric: temperature, below: 0, no_data: 10m, severity: CRITICAL, schedule: {from: "08:00", to: "20:00", time_zone: Europe/Berlin}}
  - {id: capped, metric: temperature, above: 27, max_active: 1, no_data: 20m, severity: WARNING, overrides: [{devices: [sensor-2], above: 30}]}
forget_after: 2h
"#;

/// Readings of a few devices with repeats, late ones and silences.
fn log() -> impl Strategy<Value = Vec<Reading>> {
    let step = prop_oneof![20 => 0..90_i64, 2 => 600..1_500_i64, 1 => 7_000..9_000_i64];
    let late = prop_oneof![9 => Just(0_i64), 1 => 0..400_i64];
    let reading = (0..4_usize, step, late, 0..4_u8, 24..34_i32);
    prop::collection::vec(reading, 0..300).prop_map(|steps| {
        let mut now = 1_770_000_000;
        let mut readings: Vec<Reading> = Vec::new();
        for (device, step, late, repeat, value) in steps {
            now += step;
            let received_at = Timestamp::from_millis(now * 1_000);
            match readings.last() {
                // Not after a device was forgotten: what was seen of it is forgotten as well.
                Some(last) if repeat == 0 && step < 90 => readings.push(Reading { received_at, ..last.clone() }),
                _ => {
                    let measured = Timestamp::from_millis((now - late) * 1_000);
                    let reading = temperature(&format!("sensor-{device}"), measured, f64::from(value));
                    readings.push(Reading { received_at, ..reading });
                }
            }
        }
        readings
    })
}

fn rules() -> Arc<Rules> {
    Arc::new(language::parse(RULES).unwrap())
}

fn driver(log: &[Reading]) -> Driver<AlertOperator> {
    let writer = EventWriter::new("test", &testkit::kafka_config()).with_id::<TemperatureAlert>(SchemaId(1)).unwrap();
    let mut driver = Driver::new(AlertOperator::new(rules()), writer);
    for reading in log {
        driver.append(reading.clone());
    }
    driver
}

fn uninterrupted(log: &[Reading]) -> Vec<Said> {
    driver(log).finish().unwrap().to_vec()
}

fn alerts(log: &[Reading]) -> Vec<TemperatureAlert> {
    let mut simulation = Simulation::new(rules());
    for reading in log {
        simulation.take(reading);
    }
    simulation.alerts()
}

proptest! {
    #[test]
    fn any_cut_leads_to_the_alerts_of_no_cut(log in log(), cuts in prop::collection::vec(cut::cut(30), 0..60)) {
        prop_assert_eq!(cut::run(driver(&log), &cuts), uninterrupted(&log));
    }

    #[test]
    fn the_simulation_of_the_commands_says_what_the_stream_says(log in log()) {
        let writer = EventWriter::new("test", &testkit::kafka_config()).with_id::<TemperatureAlert>(SchemaId(1)).unwrap();
        let simulated: Vec<Vec<u8>> = alerts(&log).iter().map(|alert| writer.value(alert).unwrap()).collect();
        let said: Vec<Vec<u8>> = uninterrupted(&log).into_iter().map(|said| said.value).collect();
        prop_assert_eq!(simulated, said);
    }

    #[test]
    fn an_alert_begins_once_ends_once_and_no_two_of_a_rule_are_open(log in log()) {
        let mut open: BTreeMap<(String, String), String> = BTreeMap::new();
        let mut ended = std::collections::BTreeSet::new();
        let mut ids = std::collections::BTreeSet::new();
        for alert in alerts(&log) {
            prop_assert!(ids.insert(events::Event::event_id(&alert)), "told twice: {:?}", alert);
            prop_assert!(!ended.contains(&alert.alert_id), "a resolved alert came back: {:?}", alert);
            let place = (alert.device_id.clone(), alert.rule_id.clone());
            let before = open.get(&place);
            prop_assert!(before.is_none_or(|before| *before == alert.alert_id), "two alerts of a rule are open: {:?}", alert);
            if alert.state == AlertState::Resolved {
                prop_assert!(open.remove(&place).is_some(), "resolved, and never begun: {:?}", alert);
                ended.insert(alert.alert_id);
            } else {
                open.insert(place, alert.alert_id);
            }
            let capped = open.keys().filter(|(_, rule)| rule == "capped").count();
            prop_assert!(capped <= 1, "over the cap");
        }
    }
}

#[test]
fn a_removed_rule_resolves_its_alerts_and_an_edited_one_keeps_them() {
    let parse = |yaml: &str| AlertOperator::new(Arc::new(language::parse(yaml).unwrap()));
    let rule = |id: &str, above: u8| format!("  - {{id: {id}, metric: temperature, above: {above}, severity: WARNING}}\n");
    let writer = EventWriter::new("test", &testkit::kafka_config()).with_id::<TemperatureAlert>(SchemaId(1)).unwrap();
    let reader = events::codec::WriterSchema::parse(<TemperatureAlert as events::Event>::SCHEMA.json).unwrap();
    let mut driver = Driver::new(parse(&format!("rules:\n{}{}", rule("gone", 28), rule("edited", 28))), writer);
    let at = |second: i64| Timestamp::from_millis(1_770_000_000_000 + second * 1_000);
    driver.append(temperature("sensor-1", at(0), 30.0));
    driver.append(temperature("sensor-1", at(1), 29.5));
    driver.append(temperature("sensor-1", at(2), 29.0));
    driver.process(1).unwrap();
    driver.replace(parse(&format!("rules:\n{}", rule("edited", 29)))).unwrap();
    driver.crash().unwrap();
    driver.process(1).unwrap();
    driver.replace(parse(&format!("rules:\n{}", rule("edited", 29)))).unwrap();
    let said: Vec<(String, AlertState, String)> = driver
        .finish()
        .unwrap()
        .iter()
        .map(|said| reader.decode::<TemperatureAlert>(events::codec::unframe(&said.value).unwrap().1).unwrap())
        .map(|alert| (alert.rule_id, alert.state, format!("{:?} {}", alert.reason, alert.changed_at.since(alert.started_at).as_secs())))
        .collect();
    let line = |rule: &str, state, why: &str| (rule.to_owned(), state, why.to_owned());
    // Nothing was committed before the crash, so that the first reading meets the later rules.
    assert_eq!(said, [line("edited", AlertState::Firing, "Crossed 0"), line("edited", AlertState::Resolved, "Cleared 2")]);
}
