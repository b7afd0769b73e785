//! What happens to an operator's process between two records, for tests that any cut gives the outputs of no cut.

use proptest::prelude::*;
use stream::operator::Operator;
use stream::operator::driver::{Driver, Said};

#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// So many records are processed.
    Process(usize),
    /// Keys that changed so many records ago, or earlier, are snapshotted.
    SnapshotWithin(i64),
    Commit,
    Crash,
}

/// Any cut; at most `records` are processed at a time.
pub fn cut(records: usize) -> impl Strategy<Value = Cut> {
    prop_oneof![
        4 => (1..records).prop_map(Cut::Process),
        1 => Just(Cut::SnapshotWithin(0)),
        2 => Just(Cut::Commit),
        1 => Just(Cut::Crash),
    ]
}

/// Does `cuts` to `driver`, and then the rest of its log; returns all it has said.
pub fn run<O: Operator>(mut driver: Driver<O>, cuts: &[Cut]) -> Vec<Said> {
    for cut in cuts {
        let outcome = match cut {
            Cut::Process(count) => driver.process(*count),
            Cut::SnapshotWithin(records) => driver.snapshot_within(*records),
            Cut::Commit => driver.commit(),
            Cut::Crash => driver.crash(),
        };
        outcome.expect("the operator goes on");
    }
    driver.finish().expect("the operator goes on").to_vec()
}
