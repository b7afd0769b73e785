//! What the network sees of a reading: causal features of one (device, metric), from its own past only.
//!
//! One `FeatureState` a key, one `observe` a reading, in the order of the log; no clock, no randomness, no allocation once
//! its histories are full. Every feature is finite for every finite input; a constant series has defined values; NaN and
//! infinities are refused before anything changes. The first `WARM_UP` readings are not `ready`: they score 0.

mod autoregression;
mod cadence;
mod discord;
mod echo;
mod expectation;
mod history;
mod moments;
mod repeats;
mod row;
mod state;
mod stretch;
mod time_of_day;
mod window;

#[cfg(test)]
mod tests;

pub use row::{FEATURE_COUNT, FEATURES, Row};
pub use state::{FeatureState, NotFinite, Observation, WARM_UP};

pub(crate) use expectation::Expectation;
pub(crate) use history::History;
pub(crate) use time_of_day::TimeOfDay;
pub(crate) use window::SortedWindow;
