//! How the release before kept features: read so that an upgrade goes on, written so that it can be taken back.

use serde::{Deserialize, Serialize};

use super::{
    autoregression::Autoregression,
    cadence::Cadence,
    expectation::Expectation,
    moments::{Average, Moments},
    repeats::Repeats,
    time_of_day::TimeOfDay,
    window::SortedWindow,
};

/// Values it kept.
pub(crate) const RECENT: usize = 288;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Features {
    pub(super) count: u32,
    pub(super) anchor: f64,
    pub(super) cadence: Cadence,
    pub(super) recent: Vec<f32>,
    pub(super) windows: (SortedWindow<12>, SortedWindow<48>, SortedWindow<288>),
    pub(super) long: Moments,
    pub(super) step: Average,
    pub(super) low: f32,
    pub(super) high: f32,
    pub(super) repeats: Repeats,
    pub(super) autoregression: Autoregression,
    pub(super) daily: TimeOfDay,
    pub(super) daily_off: f32,
    pub(super) expectation: Expectation,
    pub(super) fine: Discord,
    pub(super) middle: Stretched,
    pub(super) coarse: Stretched,
    pub(super) peaks: [f32; 4],
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Discord {
    history: Vec<f32>,
    squared: Vec<f32>,
    since_refresh: u16,
    contiguous: u16,
    usual: Moments,
    z: f32,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Stretched {
    sum: f32,
    count: u8,
    discord: Discord,
    levels: Moments,
    level_z: f32,
}
