//! Planning and judging together: a model relay over random batches and failures.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::domain::{Backoff, Fault, NextStep, Place, RowId, Slot};

fn row(id: i64, aggregate: &str, topic: &str) -> Row {
    let aggregate = Aggregate { kind: "notification".into(), id: aggregate.into() };
    Row { id: RowId(id), place: Place([0; 6]), slot: Slot(0), aggregate, topic: topic.into(), payload: Vec::new(), headers: "{}".into() }
}

fn no_holds() -> Holds {
    Holds::new(3, Backoff { first: Duration::ZERO, longest: Duration::ZERO })
}

fn ids(rows: &[Row]) -> Vec<i64> {
    rows.iter().map(|row| row.id.0).collect()
}

#[test]
fn nothing_follows_a_row_for_an_unproven_topic() {
    let mut doubts = Doubts::new(1000);
    let rows = vec![row(1, "a", "t"), row(2, "a", "t"), row(3, "b", "t"), row(4, "a", "t")];
    let first = plan(rows.clone(), &no_holds(), &doubts, 9);
    assert_eq!((ids(&first.together), first.deferred), (vec![1, 3], 2));
    assert_eq!(doubts.unproven(&rows), ["t".into()].into());
    doubts.learn(&rows[0], &Delivery::Delivered);
    assert_eq!(ids(&plan(rows.clone(), &no_holds(), &doubts, 9).together), [1, 2, 3, 4]);
    doubts.learn(&rows[0], &Delivery::Unavailable("no such topic any more".into()));
    assert_eq!(ids(&plan(rows, &no_holds(), &doubts, 9).together), [1, 3]);
}

#[test]
fn nothing_follows_a_large_row_or_a_retry() {
    let mut doubts = Doubts::new(1000);
    let mut rows = vec![row(1, "a", "t"), row(2, "a", "t"), row(3, "b", "t"), row(4, "b", "t"), row(5, "c", "t")];
    doubts.learn(&rows[0], &Delivery::Delivered);
    rows[0].payload = vec![0; 1001];
    let mut holds = no_holds();
    holds.failed(&rows[2].aggregate, rows[2].id, Fault::Unavailable, Instant::now(), 0.0);
    assert_eq!(ids(&plan(rows, &holds, &doubts, 9).together), [1, 3, 5]);
}

#[test]
fn a_rejected_row_is_tried_alone() {
    let rows = vec![row(1, "a", "t"), row(2, "a", "t"), row(3, "b", "t"), row(4, "c", "t")];
    let (mut holds, mut doubts) = (no_holds(), Doubts::new(1000));
    doubts.learn(&rows[0], &Delivery::Delivered);
    for rejected in [&rows[0], &rows[2]] {
        holds.failed(&rejected.aggregate, rejected.id, Fault::Rejected { alone: false }, Instant::now(), 0.0);
    }
    let all = plan(rows.clone(), &holds, &doubts, 9);
    assert_eq!((ids(&all.together), ids(&all.alone), all.deferred), (vec![4], vec![1, 3], 1));
    let one = plan(rows, &holds, &doubts, 1);
    assert_eq!((ids(&one.together), ids(&one.alone), one.deferred), (vec![4], vec![1], 2));
}

#[test]
fn what_was_delivered_behind_a_failure_is_not_deleted() {
    let sent = [row(1, "a", "t"), row(2, "b", "t"), row(3, "a", "t"), row(4, "b", "t")];
    let deliveries =
        [Delivery::Unavailable("timed out".into()), Delivery::Delivered, Delivery::Delivered, Delivery::Rejected("too large".into())];
    let outcome = judge(&sent, &deliveries);
    assert_eq!(outcome.published, [&sent[1]]);
    assert_eq!(outcome.failed, [(&sent[0], &deliveries[0]), (&sent[3], &deliveries[3])]);
}

/// A relay without Kafka and Postgres: `fail` says how sending a row ends, given whether it is in doubt.
struct Model<F> {
    pending: Vec<Row>,
    holds: Holds,
    doubts: Doubts,
    log: Vec<Row>,
    dead: Vec<Row>,
    fail: F,
}

impl<F: FnMut(bool) -> Delivery> Model<F> {
    /// Relays `rows` until none is left; returns the log and the dead rows.
    fn relay(rows: Vec<Row>, batch: usize, fail: F) -> (Vec<Row>, Vec<Row>) {
        let (log, dead) = (Vec::new(), Vec::new());
        let mut model = Self { pending: rows, holds: no_holds(), doubts: Doubts::new(usize::MAX), log, dead, fail };
        while !model.pending.is_empty() {
            let next = plan(model.pending.iter().take(batch).cloned().collect(), &model.holds, &model.doubts, 2);
            model.send(&next.together, false);
            next.alone.iter().for_each(|row| model.send(std::slice::from_ref(row), true));
        }
        (model.log, model.dead)
    }

    fn send(&mut self, rows: &[Row], alone: bool) {
        let doubtful = |row: &Row| alone || self.doubts.about(row) || self.holds.holds(&row.aggregate);
        let doubtful: Vec<bool> = rows.iter().map(doubtful).collect();
        let deliveries: Vec<Delivery> = doubtful.into_iter().map(|doubtful| (self.fail)(doubtful)).collect();
        for (row, delivery) in rows.iter().zip(&deliveries) {
            if *delivery == Delivery::Delivered {
                self.log.push(row.clone());
            }
            self.doubts.learn(row, delivery);
        }
        let outcome = judge(rows, &deliveries);
        for row in outcome.published {
            self.done(row);
        }
        for (row, delivery) in outcome.failed {
            let fault = if matches!(delivery, Delivery::Rejected(_)) { Fault::Rejected { alone } } else { Fault::Unavailable };
            if self.holds.failed(&row.aggregate, row.id, fault, Instant::now(), 0.0) != NextStep::Retry {
                self.done(row);
                self.dead.push(row.clone());
            }
        }
    }

    fn done(&mut self, row: &Row) {
        self.holds.lift(&row.aggregate);
        self.pending.retain(|pending| pending.id != row.id);
    }
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    proptest::collection::vec((0..5_usize, 0..3_usize), 1..60).prop_map(|rows| {
        let row = |(id, (aggregate, topic)): (usize, &(usize, usize))| row(id as i64, &format!("a{aggregate}"), &format!("t{topic}"));
        rows.iter().enumerate().map(row).collect()
    })
}

fn by_aggregate<'a>(rows: impl IntoIterator<Item = &'a Row>) -> BTreeMap<&'a str, Vec<i64>> {
    let mut aggregates: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for row in rows {
        aggregates.entry(&row.aggregate.id).or_default().push(row.id.0);
    }
    aggregates
}

proptest! {
    /// Rejections come only where they are in doubt: every aggregate's log is exactly its rows in order, less the dead.
    #[test]
    fn nothing_overtakes_and_nothing_is_lost(rows in rows(), batch in 1..20_usize, ends in proptest::collection::vec(0..4_u8, 200)) {
        let mut ends = ends.into_iter();
        let (log, dead) = Model::relay(rows.clone(), batch, |doubtful| match ends.next() {
            Some(0) if doubtful => Delivery::Rejected("too large".into()),
            Some(1) if doubtful => Delivery::Unavailable("timed out".into()),
            _ => Delivery::Delivered,
        });
        let expected = rows.iter().filter(|row| !dead.contains(row));
        prop_assert_eq!(by_aggregate(&log), by_aggregate(expected));
    }

    /// Whatever fails, whenever: the last time each row stands in the log, it stands in order, and none is missing.
    #[test]
    fn after_any_failure_the_log_ends_in_order(rows in rows(), batch in 1..20_usize, ends in proptest::collection::vec(0..4_u8, 200)) {
        let mut ends = ends.into_iter();
        let (log, dead) = Model::relay(rows.clone(), batch, |_| match ends.next() {
            Some(0) => Delivery::Rejected("too large".into()),
            Some(1) => Delivery::Unavailable("timed out".into()),
            _ => Delivery::Delivered,
        });
        let last = log.iter().enumerate().filter(|(n, row)| !log[n + 1..].contains(row)).map(|(_, row)| row);
        let expected = rows.iter().filter(|row| !dead.contains(row));
        prop_assert_eq!(by_aggregate(last.filter(|row| !dead.contains(row))), by_aggregate(expected));
    }
}
