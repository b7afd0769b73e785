//! What a rule is, and how readings, silence and edited rules move a device's alerts. Pure.

mod alert;
pub mod device;
pub mod excursion;
pub mod format_1;
pub mod outlet;
mod pattern;
pub mod rules;
pub mod schedule;
mod selection;
pub mod simulation;

pub use alert::{SOURCE_SILENT, Span, severity_name, source_alert};
pub use device::Device;
pub use outlet::Outlet;
pub use pattern::Pattern;
pub use rules::{Rule, Rules};
pub use simulation::Simulation;
