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
    water.read(first, last, None);
    water.horizon(100, 105, start);
    assert!(!water.wants_horizon(start), "not before a second has passed");
    water.horizon(104, 200, start + SECOND);
    assert_eq!(water.mark(), RowId(0), "104 still runs and may have a low id");
    assert!(water.wants_horizon(start + 2 * SECOND));
    water.horizon(105, 200, start + 2 * SECOND);
    assert_eq!(water.mark(), RowId(0), "what it left has not been read");
    water.read(first, last, None);
    assert_eq!(water.mark(), RowId(9));
}

#[test]
fn the_mark_stays_below_what_is_held_back() {
    let start = Instant::now();
    let mut water = LowWater::new(start);
    let (first, last) = ids(10, 20);
    water.read(first, last, Some(RowId(4)));
    water.horizon(5, 5, start);
    water.horizon(5, 5, start + SECOND);
    water.read(first, last, Some(RowId(4)));
    assert_eq!(water.mark(), RowId(3));
}

/// With the mark at 100,000.
fn risen(start: Instant) -> LowWater {
    let mut water = LowWater::new(start);
    for later in [0, 1] {
        water.read(Some(RowId(100_001)), Some(RowId(100_001)), None);
        water.horizon(5, 5, start + later * SECOND);
    }
    water.read(Some(RowId(100_001)), Some(RowId(100_001)), None);
    assert_eq!(water.mark(), RowId(100_000));
    water
}

#[test]
fn a_sweep_comes_in_time_part_by_part_and_begins_anew() {
    let start = Instant::now();
    let mut water = risen(start);
    assert_eq!(water.sweep(start + 9 * SECOND), None);
    let mut now = start + 10 * SECOND;
    let mut parts = Vec::new();
    while let Some((above, up_to)) = water.sweep(now) {
        parts.push((above.0, up_to.0));
        water.swept(false, Duration::from_millis(if parts.len() == 3 { 20 } else { 1 }), now);
        assert_eq!(water.sweep(now), None, "not all at once");
        now += SECOND;
    }
    // Each twice as large as the one before, for it was soon looked through; but for the third.
    assert_eq!(parts, [(0, 10_000), (10_000, 30_000), (30_000, 70_000), (70_000, 90_000), (90_000, 100_000)]);
    assert_eq!(water.sweep(now + 8 * SECOND), None);
    assert_eq!(water.sweep(now + 9 * SECOND).map(|(above, _)| above), Some(RowId(0)));
}

#[test]
fn what_a_sweep_finds_makes_the_next_read_begin_at_the_front() {
    let start = Instant::now();
    let mut water = risen(start);
    assert!(water.sweep(start + 10 * SECOND).is_some());
    water.swept(true, Duration::ZERO, start + 10 * SECOND);
    assert_eq!(water.mark(), RowId(0));
    water.read(Some(RowId(7)), Some(RowId(100_001)), None);
    assert_eq!(water.mark(), RowId(0));
}

#[test]
fn there_is_nothing_to_sweep_below_the_front() {
    let start = Instant::now();
    assert_eq!(LowWater::new(start).sweep(start + 60 * SECOND), None);
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
    water.read(Some(RowId(2)), Some(RowId(2)), None);
    // Row 1 is committed here.
    water.horizon(5, 5, start);
    water.horizon(5, 5, start + SECOND);
    assert_eq!(water.mark(), RowId(0));
    water.read(Some(RowId(1)), Some(RowId(2)), None);
    assert_eq!(water.mark(), RowId(0));
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
                    let above = water.mark();
                    prop_assert!(visible.iter().all(|id| *id > above.0), "{:?} is below {}", visible, above.0);
                },
                Step::Read { delete } => {
                    let found: Vec<RowId> = visible.iter().map(|id| RowId(*id)).filter(|id| *id > water.mark()).collect();
                    water.read(found.first().copied(), found.last().copied(), None);
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
