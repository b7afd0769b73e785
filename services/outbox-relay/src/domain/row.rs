//! One pending row, and the names of its parts.

use std::fmt;
use std::sync::Arc;

/// Position of a row in the outbox; within an aggregate, the order to publish in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId(pub i64);

/// Where the database keeps a row, in its own words: it is found again without an index. Another row may be there later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(pub [u8; 6]);

/// A row as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub id: RowId,
    pub place: Place,
}

/// A share of the aggregates, 0 to 63: what one relay leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub i16);

impl Slot {
    /// Which of so many lanes has its rows.
    pub fn lane(self, lanes: usize) -> usize {
        self.0 as usize % lanes
    }
}

/// Grows with every change of a slot's owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub i64);

/// What an order is kept for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Aggregate {
    pub kind: Arc<str>,
    /// The record's key.
    pub id: String,
}

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id)
    }
}

/// A pending row: one record to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub id: RowId,
    pub place: Place,
    pub slot: Slot,
    pub aggregate: Aggregate,
    pub topic: Arc<str>,
    pub payload: Vec<u8>,
    /// A JSON object.
    pub headers: String,
}

impl Row {
    pub fn seen(&self) -> Seen {
        Seen { id: self.id, place: self.place }
    }
}
