//! What opens and what does not.

use anomaly_detector::{
    adapters::Scorer,
    domain::{
        detector::Memory,
        lifecycle::{Lifecycle, Thresholds, Transition},
    },
};

use crate::{scorer, series::Healthy};

const WEEK: usize = 2_016;

/// The transitions of one device, each with the index of the reading that caused it.
fn transitions(scorer: &mut Scorer, readings: &[(i64, f64)]) -> Vec<(usize, Transition)> {
    let mut memory = Memory::default();
    let mut lifecycle = Lifecycle::default();
    let observations: Vec<_> = readings.iter().map(|(at, value)| memory.observe(*at, *value).unwrap()).collect();
    let logits = scorer.logits(&observations.iter().map(|o| o.row).collect::<Vec<_>>()).unwrap();
    let prior = scorer.manifest().calibration.clone();
    let in_order = observations.iter().zip(logits).zip(readings).enumerate();
    in_order
        .filter_map(|(i, ((observation, logit), (at, _)))| {
            let score = memory.score(observation, logit, &prior);
            lifecycle.on_score(*at, score, &Thresholds::default()).map(|t| (i, t))
        })
        .collect()
}

fn opened(transitions: &[(usize, Transition)]) -> Vec<usize> {
    transitions.iter().filter(|(_, t)| matches!(t, Transition::Opened(_))).map(|(i, _)| *i).collect()
}

fn healthy(seed: u64) -> Healthy {
    let at = seed as f64 / 10.0;
    Healthy { seed, interval_seconds: 300, amplitude: 1.0 + 4.0 * at.fract(), noise: [0.05, 0.1, 0.3][seed as usize % 3] }
}

#[test]
fn healthy_sensors_open_less_than_a_tenth_of_an_anomaly_a_week() {
    let mut scorer = scorer();
    let opened: usize = (0..10).map(|seed| opened(&transitions(&mut scorer, &healthy(seed).readings(4 * WEEK))).len()).sum();
    assert!(opened <= 4, "{opened} opened in 40 device-weeks");
}

#[test]
fn a_healthy_sensor_read_every_ten_seconds_stays_quiet_too() {
    let mut scorer = scorer();
    let sensor = Healthy { interval_seconds: 10, ..healthy(7) };
    assert_eq!(opened(&transitions(&mut scorer, &sensor.readings(30_000))), [0_usize; 0]);
}

/// A fault over readings 3,000 to 3,000 + `length`, put into ten sensors; how many opened within `reach` readings of it.
fn found(length: usize, reach: usize, fault: impl Fn(f64) -> f64) -> usize {
    let mut scorer = scorer();
    let mut found = 0;
    for seed in 0..10 {
        let sensor = Healthy { amplitude: 3.0, noise: 0.2, ..healthy(seed) };
        let mut readings = sensor.readings(4_000);
        for reading in &mut readings[3_000..3_000 + length] {
            reading.1 = fault(reading.1);
        }
        found += usize::from(opened(&transitions(&mut scorer, &readings)).iter().any(|i| (3_000..3_000 + reach).contains(i)));
    }
    found
}

#[test]
fn a_spike_beyond_where_the_series_has_been_opens() {
    let found = found(1, 2, |value| value + if value > 21.0 { 6.0 } else { -6.0 });
    assert!(found >= 9, "{found} of 10");
}

/// Where the series has already been as high, a single reading is harder to tell: the known weakness does not grow.
#[test]
fn of_spikes_that_may_stay_within_the_range_most_open() {
    let found = found(1, 2, |value| value + 6.0);
    assert!(found >= 6, "{found} of 10");
}

#[test]
fn a_lasting_shift_opens() {
    let found = found(1_000, 12, |value| value - 6.0);
    assert!(found >= 9, "{found} of 10");
}

#[test]
fn an_excursion_of_many_readings_opens_once_and_closes_once() {
    let mut scorer = scorer();
    let mut readings = Healthy { amplitude: 3.0, noise: 0.2, ..healthy(1) }.readings(4_000);
    readings[3_000..3_004].iter_mut().for_each(|r| r.1 += 8.0);
    let transitions = transitions(&mut scorer, &readings);
    let around: Vec<_> = transitions.iter().filter(|(i, _)| (3_000..3_100).contains(i)).collect();
    assert!(matches!(around[..], [(3_000, Transition::Opened(_)), (_, Transition::Closed(_))]), "{around:?}");
}

#[test]
fn a_constant_series_never_opens_until_it_moves() {
    let mut scorer = scorer();
    let mut readings: Vec<(i64, f64)> = (0..2_000).map(|i| (i * 60_000_000, 21.5)).collect();
    assert_eq!(opened(&transitions(&mut scorer, &readings)), [0_usize; 0]);
    readings[1_500].1 = 30.0;
    assert_eq!(opened(&transitions(&mut scorer, &readings)).first(), Some(&1_500));
}

#[test]
fn an_absurd_value_does_not_blind_the_detector_for_good() {
    let mut scorer = scorer();
    let mut readings = Healthy { amplitude: 3.0, noise: 0.2, ..healthy(2) }.readings(4_000);
    readings[500].1 = 1e300;
    readings[3_000].1 += 12.0;
    let opened = opened(&transitions(&mut scorer, &readings));
    assert!(opened.contains(&500) && opened.iter().any(|i| (3_000..3_002).contains(i)), "{opened:?}");
}
