//! How rare a value is of the very key it comes from.

/// Counts are in eighths of a reading, so that two bytes hold one and what is halved fades.
const ONE: u16 = 8;
/// Readings at which all counts are halved.
const FULL: u16 = 6_000;

/// How values are counted: in `bins` of `width` from `lowest` on; beyond either end the outermost bin counts them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) lowest: f32,
    pub(crate) width: f32,
    pub(crate) bins: usize,
}

impl Scale {
    /// The room its counts take: the bins, and how many there were in all.
    pub(crate) const fn room(&self) -> usize {
        self.bins + 1
    }

    /// The share of the values so far that were as high, at least one in as many as were seen; then the value joins them.
    pub(crate) fn push(&self, counts: &mut [u16], value: f32) -> f32 {
        let as_high = self.as_high(counts, value);
        let (total, bins) = counts.split_last_mut().unwrap_or_else(|| unreachable!("there is room for the total"));
        if *total >= FULL * ONE {
            for count in bins.iter_mut() {
                *count /= 2;
            }
            *total = bins.iter().sum();
        }
        bins[self.place(value).0] += ONE;
        *total += ONE;
        as_high
    }

    fn as_high(&self, counts: &[u16], value: f32) -> f32 {
        let (bin, above) = self.place(value);
        let (one, within) = (f32::from(ONE), f32::from(counts[bin]) * (1.0 - above));
        let beyond: u16 = counts[bin + 1..self.bins].iter().sum();
        (within + f32::from(beyond) + one) / (f32::from(counts[self.bins]) + 2.0 * one)
    }

    /// The bin of a value, and how far into it it lies, 0 to 1.
    fn place(&self, value: f32) -> (usize, f32) {
        let at = (value - self.lowest) / self.width;
        let bin = at.floor().clamp(0.0, (self.bins - 1) as f32);
        (bin as usize, (at - bin).clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALE: Scale = Scale { lowest: -2.0, width: 0.125, bins: 64 };

    struct Counts([u16; SCALE.room()]);

    impl Counts {
        fn as_high(&self, value: f32) -> f32 {
            SCALE.as_high(&self.0, value)
        }
    }

    fn after(count: u32, value: impl Fn(u32) -> f32) -> Counts {
        let mut counts = [0; SCALE.room()];
        (0..count).for_each(|i| _ = SCALE.push(&mut counts, value(i)));
        Counts(counts)
    }

    #[test]
    fn of_a_key_nothing_is_known_of_half_are_as_high() {
        assert!((after(0, |_| 0.0).as_high(1.0) - 0.5).abs() < 1e-6);
    }

    #[test]
    fn as_high_is_the_share_that_reached_it() {
        let hundred = after(100, |i| if i < 10 { 3.0 } else { 0.0 });
        for (value, reached) in [(-1.0, 100.0), (0.0, 100.0), (1.0, 10.0), (3.0, 10.0), (4.0, 0.0)] {
            let expected = (reached + 1.0) / 102.0;
            assert!((hundred.as_high(value) - expected).abs() < 1e-6, "{value}: {}", hundred.as_high(value));
        }
    }

    #[test]
    fn what_lies_beyond_the_scale_is_counted_at_its_end() {
        let wild = after(100, |i| if i % 2 == 0 { 1e9 } else { -1e9 });
        for (value, reached) in [(-50.0, 100.0), (0.0, 50.0), (5.0, 50.0), (1e9, 0.0)] {
            let expected = (reached + 1.0) / 102.0;
            assert!((wild.as_high(value) - expected).abs() < 1e-6, "{value}: {}", wild.as_high(value));
        }
    }

    #[test]
    fn counts_stay_within_their_bytes_and_what_is_rare_stays_rare() {
        let long = after(1_000_000, |i| if i % 1_000 == 0 { 3.0 } else { 0.0 });
        assert!((0.000_5..0.002).contains(&long.as_high(3.0)), "{}", long.as_high(3.0));
        let one = after(1_000_000, |_| 0.0);
        assert!(one.as_high(0.0) > 0.99 && one.as_high(1.0) < 1.0 / 3_000.0);
    }

    #[test]
    fn what_was_usual_long_ago_does_not_count_for_ever() {
        let changed = after(60_000, |i| if i < 10_000 { 4.0 } else { -1.0 });
        assert!(changed.as_high(4.0) < 1e-3, "{}", changed.as_high(4.0));
    }
}
