//! The last `KEEP` values of a series as one contiguous slice, oldest first.
//!
//! A push is O(1) amortised: the vector has slack behind the values it keeps, and is moved down when that is used up. It
//! never allocates once it has reached its full length, and never more than that.

use serde::{Deserialize, Serialize};

pub(crate) const SLACK: usize = 16;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(into = "Vec<f32>", from = "Vec<f32>")]
pub(crate) struct History<const KEEP: usize> {
    values: Vec<f32>,
}

impl<const KEEP: usize> History<KEEP> {
    pub(crate) fn push(&mut self, value: f32) {
        if self.values.len() == KEEP + SLACK {
            self.values.copy_within(SLACK.., 0);
            self.values.truncate(KEEP);
        } else if self.values.len() == self.values.capacity() {
            let (len, full) = (self.values.len(), KEEP + SLACK);
            self.values.reserve_exact((2 * len).clamp(full.min(64), full) - len);
        }
        self.values.push(value);
    }

    /// All values still there, oldest first: the kept ones and, before them, at most `SLACK` that are forgotten next.
    pub(crate) fn stored(&self) -> &[f32] {
        &self.values
    }

    /// A history that goes on just as the one these were [`stored`](Self::stored) in.
    pub(crate) fn from_stored(mut values: Vec<f32>) -> Self {
        // A release before this one stored more of what is forgotten next.
        values.drain(..values.len().saturating_sub(KEEP + SLACK));
        Self { values }
    }

    /// At most `KEEP` values, oldest first.
    pub(crate) fn as_slice(&self) -> &[f32] {
        &self.values[self.values.len().saturating_sub(KEEP)..]
    }

    /// At most `count` values, the newest last.
    pub(crate) fn last(&self, count: usize) -> &[f32] {
        let kept = self.as_slice();
        &kept[kept.len().saturating_sub(count)..]
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len().min(KEEP)
    }

    /// The value pushed `age` pushes before the newest one.
    pub(crate) fn aged(&self, age: usize) -> Option<f32> {
        let kept = self.as_slice();
        kept.len().checked_sub(age + 1).map(|i| kept[i])
    }
}

/// Kept values only.
impl<const KEEP: usize> From<Vec<f32>> for History<KEEP> {
    fn from(mut values: Vec<f32>) -> Self {
        values.drain(..values.len().saturating_sub(KEEP));
        Self { values }
    }
}

impl<const KEEP: usize> From<History<KEEP>> for Vec<f32> {
    fn from(history: History<KEEP>) -> Self {
        history.as_slice().to_vec()
    }
}

impl<const KEEP: usize> PartialEq for History<KEEP> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_values_survive_any_number_of_pushes() {
        let mut history = History::<10>::default();
        for i in 0..1_000_u16 {
            history.push(f32::from(i));
            assert_eq!(history.aged(0), Some(f32::from(i)));
            assert_eq!(history.len(), usize::from(i + 1).min(10));
        }
        let expected: Vec<f32> = (990..1_000_u16).map(f32::from).collect();
        assert_eq!(history.as_slice(), expected);
        assert_eq!(history.last(2), [998.0, 999.0]);
        assert_eq!(history.aged(10), None);
    }

    #[test]
    fn it_does_not_allocate_once_it_is_full() {
        let mut history = History::<10>::default();
        (0..200).for_each(|_| history.push(1.0));
        let before = history.values.capacity();
        (0..10_000).for_each(|_| history.push(1.0));
        assert_eq!(history.values.capacity(), before);
    }
}
