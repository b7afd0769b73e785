//! What a rule is, and how readings move a device's alerts. Pure.

pub mod device;
pub mod rules;
