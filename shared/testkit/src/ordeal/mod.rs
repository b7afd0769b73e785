//! What the whole suite goes through in `scripts/chaos`: readings that are planned, faults that are planned, and an offline
//! checker that compares what the suite said with what follows from the readings alone.
//!
//! Everything here is pure: a seed gives the same plan again, and the checker sees nothing but histories. Who carries it out
//! on real servers is `benches/chaos`.

mod anomaly;
mod checker;
mod expected;
mod schedule;
mod workload;

pub use anomaly::Anomaly;
pub use checker::{Announced, Listed, Logged, Observed, Shown, anomalies};
pub use expected::{Excursion, excursions};
pub use schedule::{Fault, Line, REPLICAS, SCENARIOS, Scenario, Schedule, Server, Step};
pub use workload::{Disturbed, Message, Workload};
