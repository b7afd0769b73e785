//! Snapshots of the release before: read, and written for it.

use events::{AlertState, Arrival, TemperatureAlert, Timestamp};
use stream::operator::State as _;
use temperature_alert::domain::{Device, Outlet};
use temperature_alert::language;
use testkit::temperature;

#[derive(Default)]
struct Collected(Vec<TemperatureAlert>);

impl Outlet for Collected {
    fn announce(&mut self, alert: TemperatureAlert) {
        self.0.push(alert);
    }

    fn active(&self, _: &str) -> i64 {
        0
    }

    fn count(&mut self, _: &str, _: i64) {}
}

/// A device with one metric, one reading (measured at 5 µs, no sequence, 30.0) and `high-temperature` firing since then.
const FORMAT_1: &[u8] = &[
    1, 11, b't', b'e', b'm', b'p', b'e', b'r', b'a', b't', b'u', b'r', b'e', // metrics
    1, 10, 0, // newest
    1, 10, 0, 128, 128, 128, 128, 128, 128, 128, 159, 64, // recent
    1, 16, b'h', b'i', b'g', b'h', b'-', b't', b'e', b'm', b'p', b'e', b'r', b'a', b't', b'u', b'r', b'e', 10, // firing
];

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

#[test]
fn an_alert_open_in_a_snapshot_of_the_release_before_goes_on_and_resolves() {
    let rules = language::parse(include_str!("../../src/rules.yaml")).unwrap();
    let mut device = Device::read(1, FORMAT_1).unwrap();
    let mut said = Collected::default();
    device.reconcile("sensor-01", at(6), &rules, &mut said);
    assert_eq!(device.take(&temperature("sensor-01", at(5), 30.0), &rules, &mut said), Some(Arrival::Duplicate));
    device.take(&temperature("sensor-01", at(7), 31.0), &rules, &mut said);
    assert_eq!(said.0, [], "a repeat, and a reading that changes nothing");
    device.take(&temperature("sensor-01", at(8), 20.0), &rules, &mut said);
    assert_eq!(said.0.len(), 1);
    let alert = &said.0[0];
    assert_eq!((alert.state, alert.started_at, alert.device_id.as_str()), (AlertState::Resolved, at(5), "sensor-01"));
    assert_eq!(alert.severity, events::Severity::Warning);
}

#[test]
fn a_rule_that_is_gone_resolves_the_alert_of_the_release_before() {
    let rules = language::parse("rules: []").unwrap();
    let mut device = Device::read(1, FORMAT_1).unwrap();
    let mut said = Collected::default();
    device.reconcile("acme/sensor-01", at(6), &rules, &mut said);
    let alert = &said.0[0];
    assert_eq!((alert.tenant.as_str(), alert.device_id.as_str(), alert.rule_id.as_str()), ("acme", "sensor-01", "high-temperature"));
    assert_eq!((alert.state, alert.reason), (AlertState::Resolved, events::AlertReason::RuleRemoved));
    assert_eq!((alert.metric.as_str(), alert.unit.as_str()), ("temperature", "Cel"));
}

#[test]
fn the_release_before_can_go_on_with_what_is_written_for_it() {
    let rules = language::parse(include_str!("../../src/rules.yaml")).unwrap();
    let (mut device, mut said) = (Device::default(), Collected::default());
    device.take(&temperature("sensor-01", at(5), 30.0), &rules, &mut said);
    assert_eq!(device.write(1, Vec::new()).unwrap(), FORMAT_1);
    let newest = device.write(2, Vec::new()).unwrap();
    assert_eq!(Device::read(2, &newest).unwrap(), device);
}
