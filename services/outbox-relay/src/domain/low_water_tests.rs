//! The mark against a model of interleaved transactions.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn ids(first: i64, last: i64) -> (Option<RowId>, Option<RowId>) {
    (Some(RowId(first)), Some(RowId(last)))
}

#[test]
fn the_mark_waits_for_the_transactions_that_ran() {
    let start = Instant::now();
    let mut water = LowWater::new(start);
    let (first, last) = ids(10, 20);
    water.read(RowId(0), first, last, None, true, start);
    water.horizon(100, 105, start);
    assert!(!water.wants_horizon(start), "not before a second has passed");
    water.horizon(104, 200, start + SECOND);
    assert_eq!(water.read_above(start + SECOND), RowId(0), "104 still runs and may have a low id");
    assert!(water.wants_horizon(start + 2 * SECOND));
    water.horizon(105, 200, start + 2 * SECOND);
    assert_eq!(water.read_above(start + 2 * SECOND), RowId(0), "what it left has not been read");
    water.read(RowId(0), first, last, None, true, start + 2 * SECOND);
    assert_eq!(water.read_above(start + 2 * SECOND), RowId(9));
}

#[test]
fn the_mark_stays_below_what_is_held_back() {
    let start = Instant::now();
    let mut water = LowWater::new(start);
    let (first, last) = ids(10, 20);
    water.read(RowId(0), first, last, Some(RowId(4)), true, start);
    water.horizon(5, 5, start);
    water.horizon(5, 5, start + SECOND);
    water.read(RowId(0), first, last, Some(RowId(4)), true, start + SECOND);
    assert_eq!(water.read_above(start + SECOND), RowId(3));
}

#[test]
fn a_sweep_comes_in_time_and_lowers_the_mark() {
    let start = Instant::now();
    let mut water = LowWater::new(start);
    let (first, last) = ids(50, 60);
    water.read(RowId(0), first, last, None, true, start);
    water.horizon(5, 5, start);
    water.horizon(5, 5, start + SECOND);
    water.read(RowId(0), first, last, None, true, start + SECOND);
    assert_eq!(water.read_above(start + 9 * SECOND), RowId(49));
    let late = start + 11 * SECOND;
    assert_eq!(water.read_above(late), RowId(0));
    let (first, last) = ids(7, 60);
    water.read(RowId(0), first, last, None, false, late);
    assert_eq!(water.read_above(late), RowId(0), "a sweep that was cut short goes on");
    water.read(RowId(0), first, last, None, true, late);
    assert_eq!(water.read_above(late), RowId(6));
}

#[derive(Clone, Debug)]
enum Step {
    Begin,
    Insert(usize),
    End { which: usize, commit: bool },
    Read { delete: bool },
    Horizon,
    Wait,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Begin),
        5 => (0..8_usize).prop_map(Step::Insert),
        4 => (0..8_usize, prop::bool::weighted(0.8)).prop_map(|(which, commit)| Step::End { which, commit }),
        4 => prop::bool::weighted(0.8).prop_map(|delete| Step::Read { delete }),
        3 => Just(Step::Horizon),
        2 => Just(Step::Wait),
    ];
    prop::collection::vec(step, 1..200)
}

#[test]
fn a_row_that_became_visible_before_the_horizon_was_asked_keeps_the_mark_below_it() {
    let start = Instant::now();
    let mut water = LowWater::new(start);
    water.read(RowId(0), Some(RowId(2)), Some(RowId(2)), None, true, start);
    // Row 1 is committed here.
    water.horizon(5, 5, start);
    water.horizon(5, 5, start + SECOND);
    assert_eq!(water.read_above(start + SECOND), RowId(0));
    water.read(RowId(0), Some(RowId(1)), Some(RowId(2)), None, true, start + SECOND);
    assert_eq!(water.read_above(start + SECOND), RowId(0));
}

proptest! {
    /// Transactions take a number, then ids, and end in any order: every visible row is above the mark.
    #[test]
    fn nothing_visible_is_ever_below_the_mark(steps in steps()) {
        let mut now = Instant::now();
        let mut water = LowWater::new(now + Duration::from_hours(1));
        let mut running: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        let (mut next_xid, mut next_id) = (1_i64, 1_i64);
        let mut visible: Vec<i64> = Vec::new();
        for step in steps {
            match step {
                Step::Begin => { running.insert(next_xid, Vec::new()); next_xid += 1; }
                Step::Insert(which) => if let Some(ids) = running.values_mut().nth(which) { ids.push(next_id); next_id += 1; },
                Step::End { which, commit } => if let Some(xid) = running.keys().nth(which).copied() {
                    let ids = running.remove(&xid).unwrap_or_default();
                    if commit { visible.extend(ids) }
                    visible.sort_unstable();
                    let above = water.read_above(now);
                    prop_assert!(visible.iter().all(|id| *id > above.0), "{:?} is below {}", visible, above.0);
                },
                Step::Read { delete } => {
                    let above = water.read_above(now);
                    let found: Vec<RowId> = visible.iter().map(|id| RowId(*id)).filter(|id| *id > above).collect();
                    water.read(above, found.first().copied(), found.last().copied(), None, true, now);
                    if delete { visible.clear() }
                }
                Step::Horizon => if water.wants_horizon(now) {
                    water.horizon(running.keys().next().copied().unwrap_or(next_xid), next_xid, now);
                },
                Step::Wait => now += SECOND,
            }
        }
    }
}
