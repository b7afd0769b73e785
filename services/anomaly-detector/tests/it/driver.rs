//! The operator with the model in the loop, without a broker: the same log leads to the same anomalies, whatever is cut,
//! where and how often; and what is configured for a device holds for it.

use std::time::Duration;

use ::stream::EventWriter;
use ::stream::operator::driver::{Driver, Said};
use anomaly_detector::{
    domain::{
        lifecycle::Thresholds,
        sensitivity::{Entry, Sensitivity},
    },
    stages::{Detection, DetectorOperator},
};
use events::{
    Anomaly, AnomalyState, Event, Reading, Timestamp,
    codec::{SchemaId, WriterSchema, unframe},
};
use proptest::prelude::*;
use rand::{Rng, SeedableRng, rngs::StdRng};
use testkit::{cut, temperature};

use crate::scorer;

const SECOND: i64 = 1_000_000;
const USUAL: Thresholds = Thresholds { open_above: 0.8, close_below: 0.4, close_after: 5, dead_time_micros: 3_600 * SECOND };
const FORGET_AFTER: Duration = Duration::from_hours(24 * 30);

pub(crate) fn writer() -> EventWriter {
    EventWriter::new("test", &testkit::kafka_config()).with_id::<Anomaly>(SchemaId(1)).unwrap()
}

fn driver_with(sensitivity: Sensitivity, log: &[Reading]) -> Driver<DetectorOperator> {
    let mut driver = Driver::new(DetectorOperator::new(Detection::new(scorer(), sensitivity), FORGET_AFTER), writer());
    for reading in log {
        driver.append(reading.clone());
    }
    driver
}

fn driver(log: &[Reading]) -> Driver<DetectorOperator> {
    driver_with(Sensitivity::new(USUAL, Vec::new()), log)
}

fn anomalies(said: &[Said]) -> Vec<Anomaly> {
    let reader = WriterSchema::parse(Anomaly::SCHEMA.json).unwrap();
    said.iter().map(|said| reader.decode(unframe(&said.value).unwrap().1).unwrap()).collect()
}

fn at(minute: i64) -> Timestamp {
    Timestamp::from_millis(1_770_000_000_000 + minute * 60_000)
}

/// Three devices, read every minute, with spikes once they are known, repeats and readings that come late.
fn log(seed: u64) -> Vec<Reading> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut readings: Vec<Reading> = Vec::new();
    for minute in 0..260 {
        for device in ["sensor-1", "sensor-2", "sensor-3"] {
            let odd = if minute == 200 || minute > 200 && random.random_ratio(1, 60) { 15.0 } else { 0.0 };
            let value = 20.0 + (minute as f64 / 30.0).sin() + random.random_range(-0.2..0.2) + odd;
            readings.push(temperature(device, at(minute), value));
            if random.random_ratio(1, 20) {
                readings.push(readings[random.random_range(0..readings.len())].clone());
            }
        }
    }
    readings
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_cut_leads_to_the_anomalies_of_no_cut(seed in 0..1_000_u64, cuts in prop::collection::vec(cut::cut(120), 0..40)) {
        let log = log(seed);
        let mut uncut = driver(&log);
        let expected = uncut.finish().unwrap();
        prop_assert!(!expected.is_empty(), "nothing opened: the log shows nothing");
        prop_assert_eq!(cut::run(driver(&log), &cuts), expected);
    }
}

/// Calm but for a spike at the minutes given.
fn spikes(device: &str, minutes: i64, spikes: &[(i64, f64)]) -> Vec<Reading> {
    let mut random = StdRng::seed_from_u64(7);
    (0..minutes)
        .map(|minute| {
            let spike = spikes.iter().find(|(m, _)| *m == minute).map_or(0.0, |(_, size)| *size);
            temperature(device, at(minute), 20.0 + (minute as f64 / 30.0).sin() + random.random_range(-0.2..0.2) + spike)
        })
        .collect()
}

#[test]
fn what_opens_says_score_expectation_band_and_the_features_that_spoke() {
    let mut driver = driver(&spikes("sensor-1", 300, &[(200, 15.0)]));
    let anomalies = anomalies(driver.finish().unwrap());
    let [opened, closed] = &anomalies[..] else { panic!("{anomalies:#?}") };
    assert_eq!((opened.state, closed.state, &opened.anomaly_id), (AnomalyState::Opened, AnomalyState::Closed, &closed.anomaly_id));
    assert!(opened.score > opened.threshold && opened.confidence.to_bits() == opened.score.to_bits());
    let (low, high, expected) = (opened.band_low.unwrap(), opened.band_high.unwrap(), opened.expected.unwrap());
    assert!(low < expected && expected < high && high < opened.value, "{opened:?}");
    assert!(!opened.contributions.is_empty() && opened.contributions.windows(2).all(|c| c[0].share >= c[1].share), "{opened:?}");
    assert_eq!((opened.started_at, opened.changed_at, closed.started_at), (at(200), at(200), at(200)));
}

#[test]
fn a_less_sensitive_device_opens_nothing_and_the_others_do() {
    let never = Entry { devices: vec!["oven-*".into()], metrics: Vec::new(), open_above: 1.0, close_below: 0.5 };
    let log = [spikes("oven-1", 300, &[(200, 15.0)]), spikes("sensor-1", 300, &[(200, 15.0)])].concat();
    let mut driver = driver_with(Sensitivity::new(USUAL, vec![never]), &log);
    let anomalies = anomalies(driver.finish().unwrap());
    assert!(anomalies.len() == 2 && anomalies.iter().all(|anomaly| anomaly.device_id == "sensor-1"), "{anomalies:#?}");
}

#[test]
fn what_is_open_of_a_device_that_falls_silent_for_long_is_closed_and_the_device_forgotten() {
    let mut log = spikes("sensor-1", 202, &[(200, 15.0)]);
    log.push(temperature("sensor-2", at(0).saturating_add(FORGET_AFTER * 2), 20.0));
    let mut driver = driver(&log);
    let anomalies = anomalies(driver.finish().unwrap());
    let [opened, closed] = &anomalies[..] else { panic!("{anomalies:#?}") };
    assert_eq!((&opened.anomaly_id, closed.state), (&closed.anomaly_id, AnomalyState::Closed));
    assert_eq!(closed.changed_at, at(201).saturating_add(FORGET_AFTER));
    assert_eq!(closed.labels["reason"], "device_silent");
}

#[test]
fn readings_judged_together_leave_the_same_anomalies_and_states_to_the_bit() {
    for seed in testkit::seeds() {
        let log = log(seed);
        let (mut alone, mut together) = (driver(&log), driver(&log));
        (0..log.len()).for_each(|_| alone.process(1).unwrap());
        assert!(alone.finish().unwrap().len() >= 2, "seed {seed}");
        assert_eq!(alone.said(), together.finish().unwrap(), "seed {seed}");
        for device in ["sensor-1", "sensor-2", "sensor-3"] {
            let bytes = |driver: &Driver<DetectorOperator>| postcard::to_stdvec(driver.state(device).unwrap()).unwrap();
            assert!(bytes(&alone) == bytes(&together), "{device}, seed {seed}");
        }
    }
}
