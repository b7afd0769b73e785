//! What the relay decides: which slots are its share, what may be sent, what may be deleted, when to try again.

mod backoff;
mod batch;
mod holds;
mod leases;
mod low_water;
mod pace;
mod reading;
mod row;
mod share;

pub use backoff::Backoff;
pub use batch::{Delivery, Doubts, Outcome, Plan, judge, plan};
pub use holds::{Fault, Holds, NextStep};
pub use leases::{Lease, Leases};
pub use low_water::{Horizon, LowWater};
pub use pace::Pace;
pub use reading::{Path, Reading};
pub use row::{Aggregate, Epoch, Place, Row, RowId, Seen, Slot};
pub use share::{Claims, SLOTS, fair_share};
