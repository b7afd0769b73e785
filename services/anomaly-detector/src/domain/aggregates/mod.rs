//! Statistics of one device and metric over windows of event time.
//!
//! Readings fold into panes, the longest stretch that every window is a whole number of; a window is the panes inside it.
//! A window closes when its end is passed and is said once; a reading that comes late is folded in, and the window said
//! again with the next revision, until `late_limit` behind the newest. Same readings in the same order, same windows.

mod outlook;
mod pane;
mod rules;
mod windows;

pub use pane::Stats;
pub use rules::{Rules, WindowSpec};
pub use windows::{Closed, Fold, Windows};
