//! What lately was: fading maxima and means of features, so that a burst is seen as one thing.

use serde::{Deserialize, Serialize};

/// The highest value lately; it fades over some eight readings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Peak(f32);

impl Peak {
    pub(crate) fn push(&mut self, value: f32) -> f32 {
        self.0 = (self.0 * 0.9).max(value);
        self.0
    }
}

/// An exponentially weighted mean over about `READINGS`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Mean<const READINGS: u8>(f32);

impl<const READINGS: u8> Mean<READINGS> {
    pub(crate) fn push(&mut self, value: f32) -> f32 {
        self.0 += (value - self.0) / f32::from(READINGS);
        self.0
    }

    pub(crate) fn get(self) -> f32 {
        self.0
    }

    pub(crate) fn clear(&mut self) {
        self.0 = 0.0;
    }
}
