//! Any cut gives the outputs of no cut.

mod wall_clock;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use events::codec::SchemaId;
use events::{DeviceState, DeviceStatus, Reading};
use proptest::prelude::*;
use stream::EventWriter;
use stream::operator::Operator;
use stream::operator::driver::{Driver, Said};
use testkit::cut::{self, Cut};

use crate::batch::Counting;
use crate::busy::Busy;
use crate::operator::{EveryTenth, reading, status};

/// Any cut, snapshots of some of the keys too.
fn any() -> impl Strategy<Value = Cut> {
    prop_oneof![8 => cut::cut(30), 1 => (0..40_i64).prop_map(Cut::SnapshotWithin)]
}

/// Readings of a few devices; steps of time long enough now and then for a silence.
fn log() -> impl Strategy<Value = Vec<Reading>> {
    let step = prop_oneof![5 => 0..5_i64, 1 => 55..130_i64];
    prop::collection::vec((0..4_usize, step), 0..300).prop_map(|steps| {
        let mut at = 0;
        let reading = |(device, step): (usize, i64)| {
            at += step;
            reading(&format!("sensor-{device}"), at, 1.0)
        };
        steps.into_iter().map(reading).collect()
    })
}

fn driver<O: Operator<Event = Reading>>(operator: O, log: &[Reading]) -> Driver<O> {
    let kafka = testkit::kafka_config();
    let writer = EventWriter::new("test", &kafka).with_id::<DeviceStatus>(SchemaId(1)).unwrap();
    let mut driver = Driver::new(operator, writer);
    for reading in log {
        driver.append(reading.clone());
    }
    driver
}

proptest! {
    #[test]
    fn any_cut_gives_the_outputs_of_no_cut(log in log(), cuts in prop::collection::vec(any(), 0..60)) {
        prop_assert_eq!(cut::run(driver(EveryTenth, &log), &cuts), cut::run(driver(EveryTenth, &log), &[]));
    }

    #[test]
    fn also_where_keys_share_a_limit_and_are_forgotten(log in log(), cuts in prop::collection::vec(any(), 0..60)) {
        let busy = || Busy { watched: "sensor", most: Some(2) };
        prop_assert_eq!(cut::run(driver(busy(), &log), &cuts), cut::run(driver(busy(), &log), &[]));
    }
}

proptest! {
    #[test]
    fn what_is_prepared_together_changes_nothing(log in log(), cuts in prop::collection::vec(any(), 0..60)) {
        let one_by_one = cut::run(driver(Counting::<1>::default(), &log), &[]);
        prop_assert_eq!(cut::run(driver(Counting::<3>::default(), &log), &[]), one_by_one.clone());
        prop_assert_eq!(cut::run(driver(Counting::<3>::default(), &log), &cuts), one_by_one);
    }
}

#[test]
fn events_of_different_keys_are_prepared_together_as_far_as_a_batch_goes() {
    let log: Vec<Reading> = [0, 1, 2, 3, 3].iter().map(|device| reading(&format!("sensor-{device}"), 0, 1.0)).collect();
    let (operator, counting_all) = (Counting::<3>::default(), Counting::<5>::default());
    let most = [&operator.most, &counting_all.most].map(Arc::clone);
    cut::run(driver(operator, &log), &[]);
    cut::run(driver(counting_all, &log), &[]);
    assert_eq!(most.map(|most| most.load(Ordering::Relaxed)), [3, 4], "the last one's key is among them");
}

fn reasons(said: &[Said]) -> Vec<(String, usize)> {
    said.iter().map(|said| (String::from_utf8(said.key.clone()).unwrap(), said.value.len())).collect()
}

#[test]
fn a_key_that_says_nothing_is_forgotten_once_no_replay_would_meet_it() {
    let mut log = vec![reading("sensor-0", 0, 1.0)];
    log.extend((0..12).map(|at| reading("sensor-1", at, 1.0)));
    log.push(reading("sensor-2", 200, 1.0));
    let mut driver = driver(Busy { watched: "sensor", most: None }, &log);
    driver.process(14).unwrap();
    driver.commit().unwrap();
    assert_eq!(driver.keys(), (3, 1), "sensor-1 was announced, and so snapshotted; a replay from sensor-0 still meets it");
    driver.snapshot().unwrap();
    driver.commit().unwrap();
    assert_eq!(driver.keys(), (1, 1), "sensor-2 is left");
    driver.crash().unwrap();
    assert_eq!(driver.finish().unwrap().len(), 2, "busy and quiet, once each");
}

#[test]
fn a_changed_key_is_snapshotted_once_its_partition_has_moved_on_by_so_many_records() {
    let mut driver = driver(EveryTenth, &[reading("sensor-0", 0, 1.0), reading("sensor-1", 0, 1.0), reading("sensor-2", 0, 1.0)]);
    driver.process(3).unwrap();
    let mut kept = Vec::new();
    for records in [4, 3, 2, 0] {
        driver.snapshot_within(records).unwrap();
        driver.commit().unwrap();
        kept.push(driver.keys().1);
    }
    assert_eq!((kept, driver.keys().0), (vec![0, 1, 2, 3], 3));
}

#[test]
fn a_key_that_says_nothing_is_kept_while_a_replay_would_meet_it_and_no_longer() {
    let mut driver = driver(Busy { watched: "sensor", most: None }, &[reading("sensor-1", 0, 1.0), reading("motor-1", 100, 1.0)]);
    driver.process(1).unwrap();
    driver.snapshot().unwrap();
    driver.commit().unwrap();
    assert_eq!(driver.keys(), (1, 1));
    // The motor's reading is the one whose time ends the sensor's work, of which no snapshot says anything yet.
    driver.process(1).unwrap();
    driver.redrive(&reading("motor-1", 100, 1.0)).unwrap();
    driver.commit().unwrap();
    assert_eq!(driver.keys(), (2, 2));
    driver.snapshot().unwrap();
    driver.commit().unwrap();
    assert_eq!(driver.keys(), (0, 0));
    assert_eq!(driver.said(), []);
}

#[test]
fn a_notice_is_heard_of_keys_that_are_known() {
    let retired =
        |device| DeviceStatus { state: DeviceState::Retired, ..status(device, "retired".into(), reading("", 0, 1.0).received_at) };
    let readings = |driver: &Driver<EveryTenth>| driver.state("sensor-1").map(|count| count.readings);
    let mut driver = driver(EveryTenth, &[reading("sensor-1", 0, 1.0), reading("sensor-1", 1, 1.0)]);
    driver.process(2).unwrap();
    driver.hear(&retired("sensor-2")).unwrap();
    driver.hear(&status("sensor-1", "birth".into(), reading("", 0, 1.0).received_at)).unwrap();
    driver.commit().unwrap();
    assert_eq!((driver.said(), driver.keys(), readings(&driver)), ([].as_slice(), (1, 0), Some(2)), "nothing was changed by them");
    driver.hear(&retired("sensor-1")).unwrap();
    driver.commit().unwrap();
    driver.crash().unwrap();
    assert_eq!((driver.said().len(), readings(&driver)), (1, Some(0)));
}

#[test]
fn a_redriven_record_may_make_a_timer_due_earlier() {
    let mut driver = driver(EveryTenth, &[reading("sensor-1", 1_000, 1.0), reading("sensor-2", 1_001, 1.0)]);
    driver.process(1).unwrap();
    driver.redrive(&reading("sensor-1", 0, 1.0)).unwrap();
    assert_eq!(reasons(driver.finish().unwrap()).len(), 1, "sensor-1 is silent");
}

#[test]
fn a_timer_that_a_redriven_record_set_into_the_past_waits_until_time_moves_also_across_a_crash() {
    let mut driver =
        driver(EveryTenth, &[reading("sensor-1", 1_000, 1.0), reading("sensor-1", 1_000, 1.0), reading("sensor-1", 1_001, 1.0)]);
    driver.process(1).unwrap();
    driver.redrive(&reading("sensor-2", 0, 1.0)).unwrap();
    driver.process(1).unwrap();
    driver.commit().unwrap();
    driver.crash().unwrap();
    driver.commit().unwrap();
    assert_eq!(driver.said(), []);
    assert_eq!(reasons(driver.finish().unwrap()).len(), 1, "sensor-2 is silent");
}

#[test]
fn a_changed_operator_says_what_its_replay_finds_new_once() {
    let log: Vec<Reading> = (0..12).map(|at| reading("sensor-1", at, 1.0)).collect();
    let mut driver = driver(Busy { watched: "nothing", most: None }, &log);
    driver.process(12).unwrap();
    driver.commit().unwrap();
    assert_eq!(driver.said(), []);
    driver.replace(Busy { watched: "sensor", most: None }).unwrap();
    driver.crash().unwrap();
    driver.commit().unwrap();
    driver.crash().unwrap();
    assert_eq!(reasons(driver.finish().unwrap()).len(), 1, "busy, found by replaying the log with the new operator");
}

#[test]
fn a_new_operator_brings_every_key_in_line() {
    let mut log: Vec<Reading> = (0..12).map(|at| reading("sensor-1", at, 1.0)).collect();
    log.extend((0..12).map(|at| reading("motor-1", at, 1.0)));
    let mut driver = driver(Busy { watched: "", most: None }, &log);
    driver.process(24).unwrap();
    driver.replace(Busy { watched: "motor", most: None }).unwrap();
    driver.commit().unwrap();
    driver.crash().unwrap();
    let keys: Vec<String> = reasons(driver.finish().unwrap()).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["sensor-1", "motor-1", "sensor-1"]);
}
