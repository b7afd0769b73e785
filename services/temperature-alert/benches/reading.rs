//! What one ordinary reading costs: five rules watch its metric and nothing changes.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement")]

use std::sync::Arc;
use std::time::Instant;

use events::{Labels, Reading, TemperatureAlert, Timestamp};
use temperature_alert::domain::{Device, Outlet, Simulation};
use temperature_alert::language;

const RULES: &str = r#"
rules:
  - {id: a, metric: temperature, above: 28, clear: 27, severity: WARNING}
  - {id: b, metric: temperature, above: 30, clear: 27, for: 5m, keep_firing_for: 5m, severity: WARNING}
  - {id: c, metric: temperature, below: 2, severity: CRITICAL, no_data: 1h}
  - {id: d, metric: temperature, above: 40, repeat: {count: 3, of: 5}, severity: CRITICAL, groups: [hall]}
  - {id: e, metric: temperature, devices: ["sensor-*"], above: 50, severity: INFO, ladder: [{at: 60, severity: CRITICAL}]}
"#;

struct Nothing(usize);

impl Outlet for Nothing {
    fn announce(&mut self, _: TemperatureAlert) {
        self.0 += 1;
    }

    fn active(&self, _: &str) -> i64 {
        0
    }

    fn count(&mut self, _: &str, _: i64) {}
}

fn reading(device: usize) -> Reading {
    Reading {
        tenant: "default".into(),
        device_id: format!("sensor-{device:05}"),
        group_id: Some("hall".into()),
        metric: "temperature".into(),
        value: 21.0,
        unit: "Cel".into(),
        measured_at: Timestamp::from_millis(0),
        received_at: Timestamp::from_millis(0),
        sequence: None,
        attributes: Labels::new(),
    }
}

fn main() {
    let rules = Arc::new(language::parse(RULES).unwrap());
    for devices in [1, 100, 10_000] {
        let mut readings: Vec<Reading> = (0..devices).map(reading).collect();
        let mut states: Vec<Device> = vec![Device::default(); devices];
        let mut outlet = Nothing(0);
        let mut best = f64::MAX;
        for round in 0..5 {
            let turns = 2_000_000 / devices;
            let started = Instant::now();
            for turn in 0..turns {
                let at = Timestamp::from_millis((round * turns + turn) as i64 * 1_000 + 1);
                for (reading, device) in readings.iter_mut().zip(&mut states) {
                    (reading.measured_at, reading.received_at) = (at, at);
                    device.take(reading, &rules, &mut outlet);
                    std::hint::black_box(device.due(&rules));
                }
            }
            best = best.min(started.elapsed().as_nanos() as f64 / (turns * devices) as f64);
        }
        assert_eq!(outlet.0, 0, "nothing was to change");
        println!("{devices:>6} devices, 5 rules each: {best:.0} ns per reading");
    }

    let mut simulation = Simulation::new(rules);
    let started = Instant::now();
    let mut readings: Vec<Reading> = (0..1_000).map(reading).collect();
    for minute in 0..1_440 {
        for (number, reading) in readings.iter_mut().enumerate() {
            reading.value = if (minute + number) % 300 < 20 { 33.0 } else { 21.0 };
            (reading.measured_at, reading.received_at) =
                (Timestamp::from_millis(minute as i64 * 60_000), Timestamp::from_millis(minute as i64 * 60_000));
            simulation.take(reading);
        }
    }
    println!("1,000 devices for a day, a reading a minute: {:?}, {} changes of alerts", started.elapsed(), simulation.alerts().len());
}
