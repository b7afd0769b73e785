//! An operator that goes by the wall clock, without a broker.

use std::time::Duration;

use events::codec::SchemaId;
use events::{DeviceStatus, Reading, TemperatureAlert, Timestamp};
use proptest::prelude::*;
use stream::EventWriter;
use stream::operator::driver::{Driver, Said};
use testkit::clocked::{self, Step};

use crate::operator::reading;
use crate::wall_clock::{Waiting, answer};

fn driver() -> Driver<Waiting> {
    let writer = EventWriter::new("test", &testkit::kafka_config()).with_id::<TemperatureAlert>(SchemaId(1)).unwrap();
    Driver::new(Waiting { patience: Duration::from_mins(1) }, writer)
}

fn at(second: i64) -> Timestamp {
    reading("", second, 0.0).received_at
}

fn summaries(said: &[Said]) -> Vec<String> {
    let schema = events::codec::WriterSchema::parse(<TemperatureAlert as events::Event>::SCHEMA.json).unwrap();
    let read = |said: &Said| schema.decode::<TemperatureAlert>(events::codec::unframe(&said.value).unwrap().1).unwrap();
    said.iter().map(read).map(|alert| format!("{} {}", alert.device_id, alert.summary)).collect()
}

#[test]
fn a_timer_runs_by_the_wall_clock_whatever_the_events_say_of_time_and_once_whatever_is_cut() {
    let mut driver = driver();
    driver.tick(at(0)).unwrap();
    // Their own times are far ahead, and far behind.
    driver.append(reading("sensor-1", 1_000_000, 1.0));
    driver.append(reading("sensor-2", -1_000_000, 1.0));
    driver.process(2).unwrap();
    driver.tick(at(59)).unwrap();
    driver.commit().unwrap();
    assert_eq!(summaries(driver.said()), ["sensor-1 asked, was \"\"", "sensor-2 asked, was \"\""]);
    driver.tick(at(60)).unwrap();
    driver.crash().unwrap();
    driver.tick(at(61)).unwrap();
    driver.commit().unwrap();
    driver.crash().unwrap();
    driver.tick(at(200)).unwrap();
    driver.commit().unwrap();
    assert_eq!(summaries(&driver.said()[2..]), ["sensor-1 no answer", "sensor-2 no answer"]);
}

#[test]
fn no_timer_runs_in_a_backlog() {
    let mut driver = driver();
    driver.tick(at(0)).unwrap();
    (0..3).for_each(|number| driver.append(reading(&format!("sensor-{number}"), number, 1.0)));
    driver.process(1).unwrap();
    driver.tick(at(100)).unwrap();
    driver.process(1).unwrap();
    driver.tick(at(101)).unwrap();
    driver.commit().unwrap();
    assert_eq!(summaries(driver.said()), ["sensor-0 asked, was \"\"", "sensor-1 asked, was \"\""]);
    driver.process(1).unwrap();
    driver.tick(at(102)).unwrap();
    driver.commit().unwrap();
    assert_eq!(summaries(&driver.said()[2..]), ["sensor-2 asked, was \"\"", "sensor-0 no answer"]);
}

#[test]
fn what_is_heard_of_a_new_key_is_remembered_and_what_says_nothing_leaves_none_behind() {
    let mut driver = driver();
    driver.hear(&answer("sensor-1", "well")).unwrap();
    driver.hear(&answer("sensor-2", "")).unwrap();
    driver.commit().unwrap();
    assert_eq!(driver.keys(), (1, 1));
    driver.crash().unwrap();
    driver.append(reading("sensor-1", 0, 1.0));
    assert_eq!(summaries(driver.finish().unwrap()), ["sensor-1 asked, was \"well\""]);
}

fn steps() -> impl Strategy<Value = Vec<(Timestamp, Step<Reading, DeviceStatus>)>> {
    let step = (0..3_usize, 0..4_usize, prop_oneof![4 => 0..20_i64, 1 => 50..70_i64]);
    prop::collection::vec(step, 0..120).prop_map(|steps| {
        let mut now = 0;
        let step = |(device, what, passes): (usize, usize, i64)| {
            now += passes;
            let device = format!("sensor-{device}");
            let step = match what {
                0 | 1 => Step::Event(reading(&device, 0, 1.0)),
                2 => Step::Notice(answer(&device, ["well", "ill"][passes as usize % 2])),
                _ => Step::Time,
            };
            (at(now), step)
        };
        steps.into_iter().map(step).collect()
    })
}

proptest! {
    #[test]
    fn any_cut_gives_the_outputs_of_no_cut_at_the_same_times(steps in steps(), cuts in prop::collection::vec(clocked::cut(), 0..200)) {
        let uncut = clocked::run(driver(), &steps, &[], Duration::ZERO);
        prop_assert_eq!(clocked::run(driver(), &steps, &cuts, Duration::ZERO), uncut);
    }
}
