//! The aggregates stage: any cut gives the windows of no cut, and on the stream a window is said, and corrected.

use std::time::Duration;

use ::stream::EventWriter;
use ::stream::operator::driver::Driver;
use anomaly_detector::{
    domain::aggregates::{Rules, WindowSpec},
    stages::AggregatesOperator,
};
use events::{Aggregate, Reading, Timestamp, codec::SchemaId, topics};
use proptest::prelude::*;
use testkit::{Kit, capture, temperature};

use crate::stream::{TOPICS, start};

fn operator() -> AggregatesOperator {
    let minutes = Duration::from_mins;
    let windows = vec![WindowSpec::new(minutes(1), minutes(1)), WindowSpec::new(minutes(15), minutes(5))];
    AggregatesOperator::new(Rules::new(windows, minutes(15)).unwrap(), Duration::from_secs(5), minutes(60 * 24))
}

fn driver(log: &[Reading]) -> Driver<AggregatesOperator> {
    let writer = EventWriter::new("test", &testkit::kafka_config()).with_id::<Aggregate>(SchemaId(1)).unwrap();
    let mut driver = Driver::new(operator(), writer);
    for reading in log {
        driver.append(reading.clone());
    }
    driver
}

/// Readings of three devices with late ones, repeats and silences.
fn log() -> impl Strategy<Value = Vec<Reading>> {
    let step = prop_oneof![20 => 0..40_i64, 2 => 300..2_000_i64, 1 => 80_000..200_000_i64];
    let late = prop_oneof![5 => Just(0_i64), 1 => 0..1_500_i64];
    prop::collection::vec((0..3_u8, step, late, 0..8_u8, -50..50_i32), 0..200).prop_map(|steps| {
        let mut now = 1_770_000_000;
        let mut readings: Vec<Reading> = Vec::new();
        for (device, step, late, repeat, value) in steps {
            now += step;
            let received_at = Timestamp::from_millis(now * 1_000);
            let reading = match readings.last() {
                Some(last) if repeat == 0 && step < 40 => last.clone(),
                _ => temperature(&format!("sensor-{device}"), Timestamp::from_millis((now - late) * 1_000), f64::from(value)),
            };
            readings.push(Reading { received_at, ..reading });
        }
        readings
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_cut_leads_to_the_windows_of_no_cut(log in log(), acts in prop::collection::vec((0..4_u8, 1..30_usize), 0..40)) {
        let mut cut = driver(&log);
        for (act, count) in acts {
            match act {
                0 => cut.process(count).unwrap(),
                1 => cut.snapshot().unwrap(),
                2 => cut.commit().unwrap(),
                _ => cut.crash().unwrap(),
            }
        }
        let mut uncut = driver(&log);
        prop_assert_eq!(cut.finish().unwrap(), uncut.finish().unwrap());
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(1_770_000_000_000 + second * 1_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_are_said_by_group_and_corrected_by_late_readings() {
    let kit = Kit::with_topics(&TOPICS).await;
    let service = start(&kit).await;
    let reading = |second, value| Reading { group_id: Some("hall".into()), ..temperature("sensor-1", at(second), value) };
    kit.publish(&[reading(0, 20.0), reading(30, 22.0), reading(60, 30.0)]).await;
    let mut aggregates = capture(&kit, topics::AGGREGATES);
    let record = aggregates.records(1).await.remove(0);
    assert_eq!(record.key.as_deref(), Some(&b"hall"[..]));
    let first: Aggregate = aggregates.event(&record).await;
    assert_eq!((first.window_start, first.window_end, first.revision, first.count), (at(0), at(60), 0, 2));
    assert_eq!(
        [first.mean, first.min, first.max, first.last, first.stddev].map(f64::to_bits),
        [21.0, 20.0, 22.0, 22.0, 1.0_f64].map(f64::to_bits)
    );

    // Late: the window is said again when the next one closes.
    kit.publish(&[reading(45, 27.0), reading(120, 30.0)]).await;
    let next: Vec<Aggregate> = aggregates.events(2).await;
    assert_eq!((next[0].window_end, next[0].revision, next[0].count), (at(60), 1, 3));
    assert!((next[0].mean - 23.0).abs() < 1e-9 && (next[0].last - 27.0).abs() < 1e-9, "{next:?}");
    assert_eq!((next[1].window_end, next[1].revision, next[1].expected.is_some()), (at(120), 0, true));
    service.stop().await.unwrap();
}
