//! Any cut gives the outputs of no cut.

use events::codec::SchemaId;
use events::{DeviceStatus, Reading};
use proptest::prelude::*;
use stream::EventWriter;
use stream::operator::driver::{Driver, Said};

use crate::operator::{EveryTenth, reading};

/// What happens to a process between two records.
#[derive(Clone, Copy, Debug)]
enum Act {
    Process(usize),
    Snapshot,
    Commit,
    Crash,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (1..30_usize).prop_map(Act::Process),
        1 => Just(Act::Snapshot),
        2 => Just(Act::Commit),
        1 => Just(Act::Crash),
    ]
}

/// Readings of a few devices; steps of time long enough now and then for a silence.
fn log() -> impl Strategy<Value = Vec<Reading>> {
    let step = prop_oneof![9 => 0..5_i64, 1 => 55..130_i64];
    prop::collection::vec((0..4_usize, step), 0..300).prop_map(|steps| {
        let mut at = 0;
        let reading = |(device, step): (usize, i64)| {
            at += step;
            reading(&format!("sensor-{device}"), at, 1.0)
        };
        steps.into_iter().map(reading).collect()
    })
}

fn driver(log: &[Reading]) -> Driver<EveryTenth> {
    let kafka = testkit::kafka_config();
    let writer = EventWriter::new("test", &kafka).with_id::<DeviceStatus>(SchemaId(1)).unwrap();
    let mut driver = Driver::new(EveryTenth, writer);
    for reading in log {
        driver.append(reading.clone());
    }
    driver
}

fn uninterrupted(log: &[Reading]) -> Vec<Said> {
    driver(log).finish().unwrap().to_vec()
}

proptest! {
    #[test]
    fn any_cut_gives_the_outputs_of_no_cut(log in log(), acts in prop::collection::vec(act(), 0..60)) {
        let mut driver = driver(&log);
        for act in acts {
            match act {
                Act::Process(count) => driver.process(count).unwrap(),
                Act::Snapshot => driver.snapshot().unwrap(),
                Act::Commit => driver.commit(),
                Act::Crash => driver.crash().unwrap(),
            }
        }
        prop_assert_eq!(driver.finish().unwrap(), uninterrupted(&log));
    }
}
