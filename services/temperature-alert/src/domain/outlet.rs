//! Where a device's alerts go, and who counts them.
//!
//! `Rule::max_active` caps the active alerts of a rule in one input partition. A device sees only itself, so the count is
//! the partition's: every activation and resolution is told to the outlet, and an alert may only become active while
//! [`active`](Outlet::active) is below the cap. Alerts that are active stay; a device over the cap waits in its pending
//! state and is admitted by its first reading after another alert of the rule was resolved.

use events::TemperatureAlert;

pub trait Outlet {
    fn announce(&mut self, alert: TemperatureAlert);

    /// Active alerts of a rule in this partition; `i64::MAX` while a replay rebuilds state: what was admitted then is in a
    /// snapshot, the rest was refused.
    fn active(&self, rule: &str) -> i64;

    /// An alert of the rule became active (1) or was resolved (-1).
    fn count(&mut self, rule: &str, change: i64);
}
