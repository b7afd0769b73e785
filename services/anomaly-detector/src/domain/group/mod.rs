//! What a group of devices says about its members: whether a sensor drifts or hangs, how far it can be trusted, and how sure
//! all signals together are that something is wrong.
//!
//! Judged from windows, in the order of the log, without a clock. A sensor is compared with the median of the others, so that
//! weather, which moves them all, is nobody's fault.

mod drift;
mod fusion;
mod health;
mod peers;
mod stuck;
mod windows;

pub use drift::{Drift, DriftRule, DriftRules};
pub use fusion::{Fused, Fusion, FusionRules, Quantity, Signal, Spoke};
pub use health::{Condition, Health};
pub use peers::{of_all, without_each};
pub use stuck::Stuck;
pub use windows::{Group, GroupRules, Said};
