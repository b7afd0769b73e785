//! What a pane's mean was expected to be, learned from the panes before it: the device stage's expectation, taught by panes
//! instead of readings, so that it costs the same at any rate.

use serde::{Deserialize, Serialize};

use crate::domain::features::{Expectation, History, SortedWindow, TimeOfDay};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Outlook {
    anchor: Option<f64>,
    recent: History<48>,
    window: SortedWindow<48>,
    daily: TimeOfDay,
    expectation: Expectation,
}

/// Expected mean and half the band's width.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Expected {
    pub(super) level: f64,
    pub(super) half: f64,
}

impl Outlook {
    /// What was expected of a pane that begins at `at_micros`; then it joins the past. Nothing is expected of the first.
    pub(super) fn push(&mut self, at_micros: i64, mean: f64) -> Option<Expected> {
        let first = self.anchor.is_none();
        let anchor = *self.anchor.get_or_insert(mean);
        let off = (mean - anchor).clamp(-1e15, 1e15);
        let median = f64::from(self.window.median());
        let daily = self.daily.usual(at_micros).map(|(usual, _)| f64::from(usual));
        let (level, half) = self.expectation.push(off, median, daily);
        let x = off as f32;
        self.window.push(x, self.recent.aged(47));
        self.recent.push(x);
        self.daily.push(at_micros, x);
        (!first).then_some(Expected { level: anchor + level, half })
    }
}
