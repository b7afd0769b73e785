//! The service's operators on the stream runtime, and what each keeps of a key.

mod about;
mod aggregates;
mod detection;
mod detector;
mod format_2;
mod group;

pub use aggregates::AggregatesOperator;
pub use detection::{Detection, Device, Judged, Metric, Scored};
pub use detector::DetectorOperator;
pub use group::GroupOperator;
