//! What this service decides, without clock, randomness or I/O: features, calibration, and when an anomaly opens and closes.

pub mod aggregates;
pub mod calibration;
pub mod detector;
pub mod features;
pub mod group;
pub mod lifecycle;
pub(crate) mod rarity;
pub mod sensitivity;
