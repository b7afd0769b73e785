//! The mark against a model of interleaved transactions.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn ids(first: i64, last: i64) -> (Option<RowId>, Option<RowId>) {
    (Some(RowId(first)), Some(RowId(last)))
}

fn new(now: Instant) -> LowWater {
    LowWater::at(RowId(0), now)
}

/// With 20 ids drawn.
fn running(xmin: i64, next: i64) -> Horizon {
    Horizon { xmin, next, drawn: 20 }
}

#[test]
fn the_mark_waits_for_the_transactions_that_ran() {
    let start = Instant::now();
    let mut water = new(start);
    let (first, last) = ids(10, 20);
    water.read(first, last, None);
    water.horizon(running(100, 105), start);
    assert!(!water.wants_horizon(start), "not at every turn");
    water.horizon(running(104, 200), start + SECOND);
    water.read(first, last, None);
    assert_eq!(water.mark(), RowId(0), "104 still runs and may have a low id");
    assert!(water.wants_horizon(start + 2 * SECOND));
    water.horizon(running(105, 200), start + 2 * SECOND);
    assert_eq!(water.mark(), RowId(0), "what it left has not been read");
    water.read(first, last, None);
    assert_eq!(water.mark(), RowId(9));
}

#[test]
fn the_mark_stays_below_what_is_held_back() {
    let start = Instant::now();
    let mut water = new(start);
    let (first, last) = ids(10, 20);
    water.read(first, last, Some(RowId(4)));
    water.horizon(running(5, 5), start);
    water.horizon(running(5, 5), start + SECOND);
    water.read(first, last, Some(RowId(4)));
    assert_eq!(water.mark(), RowId(3));
}

/// At 10 rows a millisecond and a question every 50 ms.
#[test]
fn while_rows_come_the_mark_follows_them_closely() {
    let start = Instant::now();
    let mut water = new(start);
    for elapsed in (0..2000).step_by(10) {
        let now = start + Duration::from_millis(elapsed);
        let id = elapsed as i64 * 10 + 1;
        water.read(Some(RowId(id)), Some(RowId(id + 99)), None);
        if water.wants_horizon(now) {
            water.horizon(Horizon { xmin: id, next: id, drawn: id + 99 }, now);
        }
        let behind = id - water.mark().0;
        assert!(elapsed < 200 || behind <= 1_700, "{behind} ids behind after {elapsed} ms");
    }
}

#[test]
fn a_transaction_of_hours_makes_no_heap_of_candidates() {
    let start = Instant::now();
    let mut water = new(start);
    let (mut now, mut asked) = (start, 0);
    for id in 1..100_000 {
        now += Duration::from_millis(10);
        water.read(Some(RowId(id)), Some(RowId(id)), None);
        if water.wants_horizon(now) {
            water.horizon(running(7, 100 + id), now);
            asked += 1;
        }
    }
    assert_eq!(water.mark(), RowId(0));
    assert!(water.candidates.len() <= MOST_CANDIDATES && asked <= 20_000, "{} candidates, asked {asked} times", water.candidates.len());
}

#[test]
fn where_no_rows_come_the_mark_rises_with_what_others_have() {
    let start = Instant::now();
    let mut water = new(start);
    let mut asked = 0;
    for elapsed in (0..3_000).step_by(10) {
        let now = start + Duration::from_millis(elapsed);
        water.read(None, None, None);
        if water.wants_horizon(now) {
            water.horizon(Horizon { xmin: 9, next: 9, drawn: 1_000_000 }, now);
            asked += 1;
        }
    }
    assert_eq!(water.mark(), RowId(1_000_000));
    assert!(asked < 10, "asked {asked} times");
}

#[test]
fn a_server_that_draws_ids_anew_is_read_from_the_front() {
    let start = Instant::now();
    let mut water = risen(start);
    water.read(None, None, None);
    water.horizon(Horizon { xmin: 9, next: 9, drawn: 999_990 }, start);
    assert_eq!(water.mark(), RowId(0));
}

/// With the mark at 1,000,000.
fn risen(start: Instant) -> LowWater {
    LowWater::at(RowId(1_000_000), start)
}

/// What a sweep looks at, when looking at a part of `n` ids from `above` takes as long as `took` says, or fails.
fn sweep(water: &mut LowWater, now: &mut Instant, took: impl Fn(i64, i64) -> Option<u64>) -> Vec<(i64, i64)> {
    let mut parts = Vec::new();
    while let Some((above, up_to)) = water.sweep(*now) {
        parts.push((above.0, up_to.0));
        match took(above.0, up_to.0 - above.0) {
            Some(took) => {
                water.swept(false, Duration::from_millis(took), *now);
                assert_eq!(water.sweep(*now), None, "not all at once");
            }
            None => water.not_swept(),
        }
        *now += SECOND;
    }
    parts
}

#[test]
fn a_sweep_comes_in_time_from_the_mark_downwards() {
    let start = Instant::now();
    let mut water = risen(start);
    assert_eq!(water.sweep(start + 9 * SECOND), None);
    let mut now = start + 10 * SECOND;
    let of_a_calm_outbox = sweep(&mut water, &mut now, |_, _| Some(0));
    let begin = [(990_000, 1_000_000), (970_000, 990_000), (930_000, 970_000)];
    assert_eq!((&of_a_calm_outbox[..3], of_a_calm_outbox.len()), (&begin[..], 7), "each twice as large as the one before");
    assert_eq!(of_a_calm_outbox.last(), Some(&(0, 370_000)));
    now += 9 * SECOND;
    assert_eq!(sweep(&mut water, &mut now, |_, _| Some(0)), of_a_calm_outbox);
}

/// A part is one statement, and nothing is published meanwhile.
#[test]
fn a_sweep_takes_little_at_a_time_where_much_was_deleted_and_all_of_it_in_the_end() {
    let start = Instant::now();
    // Of a thousand ids a millisecond; an outbox calm for long before.
    for dead_above in [1, 500_000, 999_000] {
        let mut water = risen(start);
        let mut now = start + 10 * SECOND;
        let took = |above: i64, ids: i64| Some(((above + ids - above.max(dead_above)).max(0) / 1_000) as u64);
        let parts = sweep(&mut water, &mut now, took);
        let dead = parts.iter().filter(|(_, up_to)| *up_to > dead_above);
        assert!(dead.clone().all(|(above, up_to)| up_to - above <= 10_000), "{parts:?}");
        assert!(parts.windows(2).all(|two| two[0].0 == two[1].1), "without a gap");
        assert_eq!((parts[0].1, parts.last().unwrap().0), (1_000_000, 0));
    }
}

#[test]
fn what_could_not_be_looked_through_is_looked_through_in_smaller_parts() {
    let start = Instant::now();
    let mut water = risen(start);
    let mut now = start + 10 * SECOND;
    // As if all that was deleted lay below half of it.
    let parts = sweep(&mut water, &mut now, |above, ids| (above > 500_000 || ids <= 5_000).then_some(0));
    let failed = parts.windows(2).filter(|two| two[0].1 == two[1].1);
    assert!(failed.clone().count() > 0 && failed.clone().all(|two| two[1].0 > two[0].0), "{parts:?}");
    assert_eq!(parts.last().unwrap().0, 0);
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
    assert_eq!(new(start).sweep(start + 60 * SECOND), None);
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
    let mut water = new(start);
    water.read(Some(RowId(2)), Some(RowId(2)), None);
    // Row 1 is committed here.
    water.horizon(running(5, 5), start);
    water.horizon(running(5, 5), start + SECOND);
    assert_eq!(water.mark(), RowId(0));
    water.read(Some(RowId(1)), Some(RowId(2)), None);
    assert_eq!(water.mark(), RowId(0));
}

proptest! {
    /// Transactions take a number, then ids, and end in any order: every visible row is above the mark.
    #[test]
    fn nothing_visible_is_ever_below_the_mark(steps in steps()) {
        let mut now = Instant::now();
        let mut water = new(now + Duration::from_hours(1));
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
                    let xmin = running.keys().next().copied().unwrap_or(next_xid);
                    water.horizon(Horizon { xmin, next: next_xid, drawn: next_id - 1 }, now);
                },
                Step::Wait => now += LINGER / 2,
            }
        }
    }
}
