//! The group stage: a sensor's health and its healing, the fused confidence, any cut, and the stage on a real broker.

use std::time::Duration;

use ::stream::EventWriter;
use ::stream::operator::driver::{Driver, Said};
use anomaly_detector::{
    domain::{
        group::{DriftRules, FusionRules, GroupRules, Quantity, Signal},
        lifecycle::Thresholds,
    },
    stages::GroupOperator,
};
use events::{
    Aggregate, Anomaly, AnomalyState, DEFAULT_TENANT, Event, HealthState, SensorHealth, Timestamp,
    codec::{SchemaId, WriterSchema, unframe},
    topics,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use testkit::{Kit, Running, capture};

use crate::stream::{TOPICS, start_with};

const MINUTE: i64 = 60_000_000;
const DAY: i64 = 24 * 60 * MINUTE;
/// A multiple of a day.
const EPOCH: i64 = 20_500 * DAY;

fn window(device: &str, metric: &str, (start, end): (i64, i64), mean: f64, (min, max): (f64, f64)) -> Aggregate {
    Aggregate {
        tenant: DEFAULT_TENANT.into(),
        device_id: device.into(),
        group_id: Some("hall".into()),
        metric: metric.into(),
        window_start: Timestamp::from_micros(EPOCH + start),
        window_end: Timestamp::from_micros(EPOCH + end),
        revision: 0,
        count: 10,
        mean,
        min,
        max,
        last: mean,
        stddev: 0.0,
        expected: None,
        band_low: None,
        band_high: None,
        max_score: None,
        anomaly_id: None,
    }
}

fn signal(metric: &str, quantity: Quantity, full: f64, weight: f64) -> Signal {
    Signal { metric: metric.into(), quantity, from: 0.0, full, weight }
}

fn rules() -> GroupRules {
    GroupRules {
        health_window_micros: 15 * MINUTE,
        fusion_window_micros: MINUTE,
        drift: DriftRules { commission_days: 7, ..DriftRules::default() },
        stuck_after_micros: 6 * 60 * MINUTE,
        fusion: FusionRules {
            signals: vec![signal("motion", Quantity::Max, 1.0, 0.3), signal("temperature", Quantity::Change, 5.0, 0.5)],
            thresholds: Thresholds { open_above: 0.6, close_below: 0.3, close_after: 2, dead_time_micros: 0 },
            memory_micros: 5 * MINUTE,
        },
    }
}

fn driver(log: &[Aggregate]) -> Driver<GroupOperator> {
    let writer = EventWriter::new("test", &testkit::kafka_config())
        .with_id::<Anomaly>(SchemaId(1))
        .and_then(|writer| writer.with_id::<SensorHealth>(SchemaId(2)))
        .unwrap();
    let mut driver = Driver::new(GroupOperator::new(rules(), Duration::from_hours(24 * 30), "digest".into()), writer);
    for window in log {
        driver.append(window.clone());
    }
    driver
}

fn of<E: Event>(said: &[Said]) -> Vec<E> {
    let reader = WriterSchema::parse(E::SCHEMA.json).unwrap();
    let ours = said.iter().filter(|said| said.topic.ends_with(E::SCHEMA.topic));
    ours.map(|said| reader.decode(unframe(&said.value).unwrap().1).unwrap()).collect()
}

/// Quarter hours of five sensors for so many days; the last one says what `last` makes of (quarter hour, its true mean).
fn quarters(days: i64, last: impl Fn(i64, f64) -> f64) -> Vec<Aggregate> {
    let mut rng = StdRng::seed_from_u64(3);
    let mut log = Vec::new();
    for slot in 0..days * 96 {
        let outside = 2.0 * (slot as f64 / 96.0 * std::f64::consts::TAU).sin();
        for device in 0..5 {
            let mut mean = 20.0 + f64::from(device) + outside + rng.random_range(-0.2..0.2);
            let mut range = (mean - 0.1, mean + 0.1);
            if device == 4 {
                let said = last(slot, mean);
                if (said - mean).abs() > 0.0 {
                    (mean, range) = (said, (said, said));
                }
            }
            log.push(window(&format!("sensor-{device}"), "temperature", (slot * 15 * MINUTE, (slot + 1) * 15 * MINUTE), mean, range));
        }
    }
    log
}

/// What was told of a device, with the day it was told on.
fn told(said: &[Said], device: &str) -> Vec<(i64, HealthState, f64)> {
    let health = of::<SensorHealth>(said).into_iter().filter(|health| health.device_id == device);
    health.map(|h| ((h.changed_at.as_micros() - EPOCH) / DAY, h.metrics[0].state, h.metrics[0].weight)).collect()
}

#[test]
fn a_drifting_sensors_weight_falls_and_is_restored_when_it_heals() {
    let log = quarters(40, |slot, mean| if (10..25).contains(&(slot / 96)) { mean + 2.0 } else { mean });
    let mut driver = driver(&log);
    let said = driver.finish().unwrap().to_vec();
    let told = told(&said, "sensor-4");
    let [(commissioned, HealthState::Healthy, first), (began, HealthState::Drifting, _), .., (healed, HealthState::Healthy, last)] =
        told[..]
    else {
        panic!("{told:?}")
    };
    assert!(commissioned == 7 && (10..20).contains(&began) && (28..33).contains(&healed), "{told:?}");
    let lowest = told.iter().map(|(.., weight)| *weight).fold(1.0, f64::min);
    assert!(lowest < 0.35 && (first - 1.0).abs() < 1e-9 && (last - 1.0).abs() < 1e-9, "{told:?}");
    let drifting = of::<SensorHealth>(&said).into_iter().rfind(|health| health.metrics[0].state == HealthState::Drifting).unwrap();
    // The week's mean, of which five days were off by two degrees.
    assert!((drifting.metrics[0].residual.unwrap() - 10.0 / 7.0).abs() < 0.1, "{drifting:?}");
    // One that is wrong does not make the others look wrong.
    assert_eq!(self::told(&said, "sensor-0").len(), 1);
}

#[test]
fn a_sensor_that_hangs_counts_for_nothing_until_it_moves() {
    let log = quarters(12, |slot, mean| if (960..1_040).contains(&slot) { 23.5 } else { mean });
    let mut driver = driver(&log);
    let told = told(driver.finish().unwrap(), "sensor-4");
    let [(7, HealthState::Healthy, _), (10, HealthState::Stuck, weight), (10, HealthState::Healthy, again)] = told[..] else {
        panic!("{told:?}")
    };
    assert!(weight.abs() < 1e-9 && (again - 1.0).abs() < 1e-9);
}

/// Minutes of a motion sensor and two thermometers; `heat` and `motion` in the minutes given.
fn minutes(count: i64, event: std::ops::Range<i64>) -> Vec<Aggregate> {
    let mut log = Vec::new();
    for minute in 0..count {
        let span = (minute * MINUTE, (minute + 1) * MINUTE);
        let heat = if event.contains(&minute) { (minute - event.start + 1) as f64 } else { 0.0 };
        let motion = f64::from(u8::from(event.contains(&minute)));
        log.push(window("door", "motion", span, motion, (0.0, motion)));
        log.push(window("sensor-1", "temperature", span, 20.0 + heat, (20.0, 20.0 + heat)));
        log.push(window("sensor-2", "temperature", span, 20.0, (20.0, 20.0)));
    }
    log
}

#[test]
fn signals_that_agree_open_the_groups_own_anomaly_and_it_closes_when_they_are_gone() {
    let mut driver = driver(&minutes(60, 20..26));
    let anomalies: Vec<Anomaly> = of(driver.finish().unwrap());
    let [opened, closed] = &anomalies[..] else { panic!("{anomalies:#?}") };
    assert_eq!((opened.state, closed.state, &opened.anomaly_id), (AnomalyState::Opened, AnomalyState::Closed, &closed.anomaly_id));
    assert_eq!(
        (opened.model.name.as_str(), opened.device_id.as_str(), opened.metric.as_str()),
        ("group-fusion", "sensor-1", "temperature")
    );
    // Motion 0.3, and four of five degrees at 0.5.
    assert!((opened.confidence - 0.7).abs() < 1e-9 && (opened.score - 0.8).abs() < 1e-9, "{opened:?}");
    let spoke: Vec<&str> = opened.contributions.iter().map(|c| c.feature.as_str()).collect();
    assert_eq!(spoke, ["sensor-1/temperature change", "door/motion max"]);
    assert!((opened.contributions.iter().map(|c| c.share).sum::<f64>() - 1.0).abs() < 1e-9);
}

#[test]
fn one_signal_alone_opens_nothing() {
    let log: Vec<Aggregate> = minutes(60, 20..26).into_iter().filter(|window| window.metric == "temperature").collect();
    assert!(driver(&log).finish().unwrap().is_empty());
}

#[test]
fn a_sensor_that_hangs_does_not_speak_in_the_fusion() {
    // Over days one thermometer hangs; then it jumps together with motion, in windows of a minute only.
    let mut log = quarters(10, |slot, mean| if slot >= 800 { 23.5 } else { mean });
    let event = minutes(60, 20..26).into_iter().map(|window| {
        let device_id = if window.device_id == "sensor-1" { "sensor-4".to_owned() } else { window.device_id.clone() };
        let later = |at: Timestamp| Timestamp::from_micros(at.as_micros() + 10 * DAY);
        Aggregate { window_start: later(window.window_start), window_end: later(window.window_end), device_id, ..window }
    });
    log.extend(event);
    let mut driver = driver(&log);
    assert!(of::<Anomaly>(driver.finish().unwrap()).is_empty());
}

#[test]
fn what_is_open_of_a_group_that_falls_silent_closes() {
    let mut log = minutes(24, 20..26);
    log.push(window("elsewhere", "temperature", (DAY, DAY + MINUTE), 20.0, (20.0, 20.0)));
    log.last_mut().unwrap().group_id = Some("other".into());
    let mut driver = driver(&log);
    let states: Vec<_> = of::<Anomaly>(driver.finish().unwrap()).iter().map(|a| (a.state, a.changed_at.as_micros() - EPOCH)).collect();
    assert_eq!(states, [(AnomalyState::Opened, 24 * MINUTE), (AnomalyState::Closed, 29 * MINUTE)]);
}

#[test]
fn any_cut_leads_to_what_no_cut_leads_to() {
    let mut log = quarters(24, |slot, mean| if slot > 960 { mean + 2.0 } else { mean });
    log.extend(minutes(60, 20..26).into_iter().map(|window| {
        let later = |at: Timestamp| Timestamp::from_micros(at.as_micros() + 24 * DAY);
        Aggregate { window_start: later(window.window_start), window_end: later(window.window_end), ..window }
    }));
    let expected = driver(&log).finish().unwrap().to_vec();
    assert_eq!((of::<Anomaly>(&expected).len(), told(&expected, "sensor-4").len()), (2, 2));
    let mut rng = StdRng::seed_from_u64(9);
    for _ in 0..6 {
        let mut cut = driver(&log);
        for _ in 0..30 {
            match rng.random_range(0..6) {
                0..3 => cut.process(rng.random_range(1..2_000)).unwrap(),
                3 => cut.snapshot().unwrap(),
                4 => cut.commit().unwrap(),
                _ => cut.crash().unwrap(),
            }
        }
        assert_eq!(cut.finish().unwrap(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_group_of_a_fleet_speaks_on_a_real_broker() {
    let kit = Kit::with_topics(&TOPICS).await;
    let signals = r#"[{ metric = "motion", of = "max", from = 0.0, full = 1.0, weight = 0.3 }, { metric = "temperature", of = "change", from = 0.0, full = 5.0, weight = 0.5 }]"#;
    let service: Running = start_with(&kit, &[("ANOMALY_DETECTOR__GROUP__SIGNALS", signals)]).await;
    // Readings, so that all three stages take part.
    let mut readings = Vec::new();
    for minute in 0..20_i64 {
        let at = Timestamp::from_micros(EPOCH + minute * MINUTE);
        let heat = if minute >= 12 { (minute - 11) as f64 } else { 0.0 };
        for (device, metric, value) in [("door", "motion", f64::from(u8::from(minute >= 12))), ("sensor-1", "temperature", 20.0 + heat)] {
            readings.push(events::Reading {
                metric: metric.into(),
                group_id: Some("hall".into()),
                ..testkit::temperature(device, at, value)
            });
        }
    }
    kit.publish(&readings).await;
    let opened: Anomaly = capture(&kit, topics::ANOMALIES).events(1).await.remove(0);
    assert_eq!(
        (opened.model.name.as_str(), opened.group_id.as_deref(), opened.device_id.as_str()),
        ("group-fusion", Some("hall"), "sensor-1")
    );
    assert!(opened.confidence > opened.threshold, "{opened:?}");
    service.stop().await.unwrap();
}
