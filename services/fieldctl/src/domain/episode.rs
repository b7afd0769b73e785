//! When something happens to a device, and for how long.

use super::random::Random;

/// Something that lasts `length` turns, the first of them being turn `from`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Episode<T> {
    pub(crate) what: T,
    pub(crate) from: u64,
    pub(crate) length: u64,
}

impl<T> Episode<T> {
    /// The first turn after it.
    pub(crate) fn end(&self) -> u64 {
        self.from + self.length
    }
}

/// When the next episode of one kind begins: after a gap drawn around a mean, so that none waits for ever. It draws
/// from a stream of its own, so that faults leave noise and excursions as they are.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    random: Random,
    next: u64,
    mean_gap: f64,
}

impl Schedule {
    /// `share` of all turns is to be inside an episode of mean length `length`.
    pub(crate) fn new(share: f64, length: f64, mut random: Random) -> Self {
        let mean_gap = if share > 0.0 { length * (1.0 - share) / share } else { f64::INFINITY };
        Self { next: to_turns(mean_gap * random.range(0.2, 1.0)), mean_gap, random }
    }

    /// The turn the next episode begins at.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// For what the episode is like.
    pub(crate) fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// An episode lasts until turn `end`: the next one begins a gap later.
    pub(crate) fn after(&mut self, end: u64) {
        self.next = end.saturating_add(to_turns(self.mean_gap * self.random.range(0.5, 1.5)));
    }
}

/// Saturates: an endless gap is a turn that never comes.
fn to_turns(gap: f64) -> u64 {
    gap.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_share_is_never() {
        assert_eq!(Schedule::new(0.0, 20.0, Random::new(1)).next(), u64::MAX);
    }

    #[test]
    fn gaps_keep_to_the_share() {
        let (mut schedule, mut inside) = (Schedule::new(0.2, 20.0, Random::new(1)), 0);
        while schedule.next() < 100_000 {
            inside += 20;
            schedule.after(schedule.next() + 20);
        }
        assert!((18_000..22_000).contains(&inside), "{inside}");
    }
}
