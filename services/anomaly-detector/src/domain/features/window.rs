//! The last `SIZE` values in sorted order: medians, spreads and ranks in O(1) to O(log n), an update in O(n) moves.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SortedWindow<const SIZE: usize> {
    sorted: Vec<f32>,
}

impl<const SIZE: usize> SortedWindow<SIZE> {
    /// `leaving` is the value pushed `SIZE` pushes ago; ignored while the window still fills.
    pub(crate) fn push(&mut self, entering: f32, leaving: Option<f32>) {
        if self.sorted.len() >= SIZE {
            let gone = leaving.map_or(0, |v| self.below(v).min(self.sorted.len() - 1));
            let place = self.below(entering);
            if place > gone {
                self.sorted.copy_within(gone + 1..place, gone);
                self.sorted[place - 1] = entering;
            } else {
                self.sorted.copy_within(place..gone, place + 1);
                self.sorted[place] = entering;
            }
        } else {
            if self.sorted.capacity() == 0 {
                self.sorted.reserve_exact(SIZE);
            }
            let place = self.below(entering);
            self.sorted.insert(place, entering);
        }
    }

    fn below(&self, value: f32) -> usize {
        self.sorted.partition_point(|v| v.total_cmp(&value).is_lt())
    }

    /// The nearest-rank quantile, 0 when empty.
    pub(crate) fn quantile(&self, q: f32) -> f32 {
        let last = self.sorted.len().saturating_sub(1);
        let at = (q * last as f32).round() as usize;
        self.sorted.get(at).copied().unwrap_or(0.0)
    }

    pub(crate) fn median(&self) -> f32 {
        self.quantile(0.5)
    }

    /// A robust standard deviation: from the quartiles, or half of what the outer ranks say when most values are equal.
    pub(crate) fn spread(&self) -> f32 {
        let inner = (self.quantile(0.75) - self.quantile(0.25)) / 1.349;
        let outer = (self.quantile(0.95) - self.quantile(0.05)) / 3.29;
        inner.max(0.5 * outer)
    }

    /// How far `value` lies beyond the lowest or highest value here; 0 inside.
    pub(crate) fn beyond(&self, value: f32) -> f32 {
        match (self.sorted.first(), self.sorted.last()) {
            (Some(low), Some(high)) => (low - value).max(value - high).max(0.0),
            _ => 0.0,
        }
    }

    /// ln of the inverse two-sided tail probability: 0 at the median, ln(2(n + 1)) beyond either end.
    pub(crate) fn tail_rank(&self, value: f32) -> f32 {
        let n = self.sorted.len();
        let below = self.below(value);
        let above = n - self.sorted.partition_point(|v| v.total_cmp(&value).is_le());
        // Equal values count half for each side, so a constant series ranks in the middle.
        let equal = (n - below - above) as f32 / 2.0;
        let tail = below.min(above) as f32 + equal + 0.5;
        ((n + 1) as f32 / (2.0 * tail)).ln().max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_the_same_values_as_a_naive_window() {
        let mut window = SortedWindow::<7>::default();
        let mut naive: Vec<f32> = Vec::new();
        for i in 0..500_u32 {
            let value = (i.wrapping_mul(2_654_435_761) >> 27) as f32;
            let leaving = (naive.len() >= 7).then(|| naive[naive.len() - 7]);
            window.push(value, leaving);
            naive.push(value);
            let mut expected = naive[naive.len().saturating_sub(7)..].to_vec();
            expected.sort_by(f32::total_cmp);
            assert_eq!(window.sorted, expected);
        }
    }

    #[test]
    fn equal_values_have_the_middle_rank_and_no_spread() {
        let mut window = SortedWindow::<48>::default();
        (0..48).for_each(|_| window.push(5.0, Some(5.0)));
        assert!(window.tail_rank(5.0).abs() < 0.01);
        assert!(window.tail_rank(6.0) > 3.0);
        assert!(window.spread().abs() < f32::EPSILON);
        assert!((window.beyond(6.5) - 1.5).abs() < 1e-6);
    }
}
