//! What of a batch may be sent, and what may be deleted once it is known how that ended.
//!
//! Guarantees: within an aggregate a row is sent only when every earlier one was sent in the same batch or is published;
//! a row is deletable only when it and everything before it was delivered. Refuses: to send anything behind a row that
//! might be rejected, for a rejection comes too late to call the next ones back.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Aggregate, Holds, Row};

/// How sending a row ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Acknowledged by all in-sync replicas.
    Delivered,
    /// This row can never succeed.
    Rejected(String),
    /// It could not be delivered now.
    Unavailable(String),
    /// Not tried, because a row before it failed at once.
    Withheld,
}

/// Which rows might be rejected: large ones, and those for a topic that has not taken one yet.
#[derive(Clone, Debug)]
pub struct Doubts {
    large: usize,
    proven: HashSet<Arc<str>>,
}

impl Doubts {
    /// Rows above `large` bytes are in doubt.
    pub fn new(large: usize) -> Self {
        Self { large, proven: HashSet::new() }
    }

    pub fn about(&self, row: &Row) -> bool {
        row.payload.len() > self.large || !self.proven.contains(&row.topic)
    }

    /// The topics of `rows` that have not taken a row yet, or failed one since.
    pub fn unproven(&self, rows: &[Row]) -> HashSet<Arc<str>> {
        let mut unproven = HashSet::new();
        for row in rows {
            if !self.proven.contains(&row.topic) && !unproven.contains(&row.topic) {
                unproven.insert(row.topic.clone());
            }
        }
        unproven
    }

    /// Learns from how sending `row` ended.
    pub fn learn(&mut self, row: &Row, delivery: &Delivery) {
        match delivery {
            Delivery::Delivered if !self.proven.contains(&row.topic) => drop(self.proven.insert(row.topic.clone())),
            Delivery::Rejected(_) | Delivery::Unavailable(_) => drop(self.proven.remove(&row.topic)),
            Delivery::Delivered | Delivery::Withheld => {}
        }
    }
}

/// What to send now. Rows of an aggregate stand in one of the lists only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// All at the same time, in id order.
    pub together: Vec<Row>,
    /// One after another: rows that were rejected before.
    pub alone: Vec<Row>,
    /// How many have to wait for another row.
    pub deferred: usize,
}

/// `rows` in id order, without those of aggregates whose next try is not due; at most `most_alone` are tried alone.
pub fn plan(rows: Vec<Row>, holds: &Holds, doubts: &Doubts, most_alone: usize) -> Plan {
    let mut plan = Plan { together: Vec::with_capacity(rows.len()), ..Plan::default() };
    let mut closed: HashSet<Aggregate> = HashSet::new();
    for row in rows {
        let rejected = holds.rejected(&row.aggregate);
        if closed.contains(&row.aggregate) || (rejected && plan.alone.len() >= most_alone) {
            plan.deferred += 1;
            continue;
        }
        if rejected || holds.holds(&row.aggregate) || doubts.about(&row) {
            closed.insert(row.aggregate.clone());
        }
        if rejected { plan.alone.push(row) } else { plan.together.push(row) }
    }
    plan
}

/// How a batch ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome<'a> {
    /// To be deleted.
    pub published: Vec<&'a Row>,
    /// The first row of each aggregate that failed, with how. What was delivered behind it stays and is sent again after it.
    pub failed: Vec<(&'a Row, &'a Delivery)>,
}

/// `deliveries` belong to the rows of `sent`, one each.
pub fn judge<'a>(sent: &'a [Row], deliveries: &'a [Delivery]) -> Outcome<'a> {
    let mut outcome = Outcome { published: Vec::with_capacity(sent.len()), failed: Vec::new() };
    let mut broken: HashSet<&Aggregate> = HashSet::new();
    for (row, delivery) in sent.iter().zip(deliveries) {
        let whole = broken.is_empty() || !broken.contains(&row.aggregate);
        match delivery {
            Delivery::Delivered if whole => outcome.published.push(row),
            Delivery::Rejected(_) | Delivery::Unavailable(_) if whole => {
                broken.insert(&row.aggregate);
                outcome.failed.push((row, delivery));
            }
            _ => {}
        }
    }
    outcome
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
