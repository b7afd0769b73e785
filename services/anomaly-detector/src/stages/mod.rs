//! The service's operators on the stream runtime, and what each keeps of a key.

mod detection;
mod detector;

pub use detection::{Detection, Device, Judged, Metric, Scored};
pub use detector::DetectorOperator;
