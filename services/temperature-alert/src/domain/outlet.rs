//! Where a device's alerts go, and who counts them.
//!
//! `Rule::max_active` caps the active alerts of a rule in one input partition. A device sees only itself, so the count is
//! the partition's: every activation and resolution is told to the outlet, and an alert may only become active while
//! [`active`](Outlet::active) is below the cap. Alerts that are active stay; a device over the cap waits in its pending
//! state and is admitted by its first reading after another alert of the rule was resolved.

use events::TemperatureAlert;

pub trait Outlet {
    fn announce(&mut self, alert: TemperatureAlert);

    /// Active alerts of a rule in this partition. What is decided by it cannot be decided again from this device's readings
    /// alone, so that its state has to be kept from here on.
    fn active(&mut self, rule: &str) -> u32;

    /// An alert of the rule became active (1) or was resolved (-1).
    fn count(&mut self, rule: &str, change: i32);
}
