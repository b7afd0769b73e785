//! Left discord: how far the newest `LENGTH` values are from the most similar stretch seen before them (the left matrix
//! profile of Yeh et al., 2016, without normalisation, so that a change of level counts).
//!
//! Squared distances are kept per lag and follow by recurrence, O(lags) a value; they are computed afresh whenever the
//! history is moved down, because sums in f32 drift. So a snapshot leaves them out: what the history still holds gives the
//! same bits again.

use serde::{Deserialize, Serialize};

use super::{
    history::{History, SLACK},
    moments::Moments,
};

const LENGTH: usize = 16;
const HORIZON: u32 = 500;
/// How fast the furthest distance so far fades, a value.
const FADE: f32 = 0.999;
/// Of a series' deviation: distances below are all the same.
const FLOOR: f32 = 0.02;
const LANES: usize = 16;

/// `KEEP` values of history; as many lags as fit beside two stretches.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "Snapshot", from = "Snapshot")]
pub(crate) struct Discord<const KEEP: usize> {
    history: History<KEEP>,
    /// Squared distances to the stretches before the newest, the longest ago first.
    squared: Vec<f32>,
    spoken: Spoken,
}

/// All but the squared distances.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Spoken {
    contiguous: u8,
    usual: Moments,
    z: f32,
    far: f32,
    new: f32,
    furthest: f32,
}

impl<const KEEP: usize> Discord<KEEP> {
    const LAGS: usize = KEEP - 2 * LENGTH;

    /// The values after a gap are not compared until a whole stretch of them is in.
    pub(crate) fn forget_contiguity(&mut self) {
        let spoken = &mut self.spoken;
        (spoken.contiguous, spoken.z, spoken.far, spoken.new) = (0, 0.0, 0.0, 0.0);
    }

    /// `scale` is a typical deviation of the series, above 0.
    pub(crate) fn push(&mut self, value: f32, scale: f32) {
        self.history.push(value);
        self.spoken.contiguous = (self.spoken.contiguous + 1).min(LENGTH as u8);
        if self.history.len() < 2 * LENGTH {
            return;
        }
        self.follow();
        if usize::from(self.spoken.contiguous) == LENGTH {
            self.spoken.take((nearest(&self.squared).max(0.0) / LENGTH as f32).sqrt(), scale);
        }
    }

    pub(crate) fn history(&self) -> &History<KEEP> {
        &self.history
    }

    /// Deviations of the newest distance from its usual size.
    pub(crate) fn z(&self) -> f32 {
        self.spoken.z
    }

    /// The newest distance in deviations of the series.
    pub(crate) fn far(&self) -> f32 {
        self.spoken.far
    }

    /// ln of the newest distance beside the furthest before it.
    pub(crate) fn novelty(&self) -> f32 {
        self.spoken.new
    }

    /// The usual distance in deviations of the series.
    pub(crate) fn usual(&self, scale: f32) -> f32 {
        self.spoken.usual.mean() as f32 / scale
    }

    fn follow(&mut self) {
        let values = self.history.as_slice();
        if Self::is_refreshed_at(self.history.stored().len()) {
            refresh(values, Self::LAGS, &mut self.squared);
        } else {
            advance(values, Self::LAGS, &mut self.squared);
        }
    }

    /// Whether distances are computed afresh when so many values are stored: at the first that can be compared, and every
    /// `SLACK` from there on so that one of them is just after the history was moved down.
    fn is_refreshed_at(stored: usize) -> bool {
        stored == 2 * LENGTH || stored % SLACK == (KEEP + 1) % SLACK
    }
}

impl Spoken {
    fn take(&mut self, distance: f32, scale: f32) {
        let least = FLOOR * scale;
        self.z = self.usual.z(f64::from(distance), 0.1 * self.usual.mean() + f64::from(least)) as f32;
        self.far = distance / scale;
        self.new = ((distance + least) / (self.furthest + least)).ln().clamp(-3.0, 3.0);
        // One absurd value is not to hide what follows.
        let bounded = if self.furthest > 0.0 { distance.min(4.0 * self.furthest + 0.1 * distance) } else { distance };
        self.furthest = (self.furthest * FADE).max(bounded);
        self.usual.push(f64::from(distance), HORIZON);
    }
}

/// Computes the squared distance to each of at most `lags` earlier stretches; none overlaps the newest.
fn refresh(values: &[f32], lags: usize, squared: &mut Vec<f32>) {
    let stretches = values.len() - 2 * LENGTH + 1;
    squared.clear();
    squared.extend((stretches.saturating_sub(lags)..stretches).map(|start| squared_distance(values, start)));
}

/// Brings the distances from the stretch before the newest to the newest. There is one more while the history grows.
fn advance(values: &[f32], lags: usize, squared: &mut Vec<f32>) {
    let last = values.len() - 1;
    let first = values.len() - 2 * LENGTH + 1 - squared.len();
    let (entering, leaving) = (values[last], values[last - LENGTH]);
    let (ends, befores) = (&values[first + LENGTH - 1..], &values[first - 1..]);
    for ((squared, end), before) in squared.iter_mut().zip(ends).zip(befores) {
        let (gain, loss) = (entering - end, leaving - before);
        *squared += gain * gain - loss * loss;
    }
    if squared.len() < lags {
        squared.insert(0, squared_distance(values, first - 1));
    }
}

fn squared_distance(values: &[f32], start: usize) -> f32 {
    let newest = &values[values.len() - LENGTH..];
    values[start..start + LENGTH].iter().zip(newest).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// The least, in lanes that a vector unit takes at once.
fn nearest(squared: &[f32]) -> f32 {
    let least = |a: f32, b: f32| if b < a { b } else { a };
    let chunks = squared.chunks_exact(LANES);
    let rest = chunks.remainder().iter().copied().fold(f32::INFINITY, least);
    let mut lanes = [f32::INFINITY; LANES];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = least(*lane, *value);
        }
    }
    lanes.into_iter().fold(rest, least)
}

#[derive(Serialize, Deserialize)]
struct Snapshot {
    stored: Vec<f32>,
    spoken: Spoken,
}

impl<const KEEP: usize> From<Discord<KEEP>> for Snapshot {
    fn from(discord: Discord<KEEP>) -> Self {
        Self { stored: discord.history.stored().to_vec(), spoken: discord.spoken }
    }
}

impl<const KEEP: usize> From<Snapshot> for Discord<KEEP> {
    fn from(Snapshot { stored, spoken }: Snapshot) -> Self {
        let refreshed = (2 * LENGTH..=stored.len()).rev().find(|stored| Self::is_refreshed_at(*stored));
        let from = refreshed.unwrap_or(stored.len());
        let mut discord = Self { history: History::from_stored(stored[..from].to_vec()), squared: Vec::new(), spoken };
        if refreshed.is_some() {
            discord.follow();
        }
        for value in &stored[from..] {
            discord.history.push(*value);
            discord.follow();
        }
        discord
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: usize = 256 + 2 * LENGTH;

    fn noise(i: u32) -> f32 {
        (i.wrapping_mul(2_654_435_761) >> 16) as f32 / 65_536.0
    }

    #[test]
    fn the_recurrence_agrees_with_distances_computed_afresh() {
        let mut discord = Discord::<KEEP>::default();
        for i in 0..2_000 {
            discord.push(noise(i), 1.0);
            let mut fresh = Vec::new();
            if discord.history.len() >= 2 * LENGTH {
                refresh(discord.history.as_slice(), KEEP - 2 * LENGTH, &mut fresh);
            }
            assert_eq!(discord.squared.len(), fresh.len());
            for (a, b) in discord.squared.iter().zip(&fresh) {
                assert!((a - b).abs() < 1e-3, "after {i}: {a} and {b}");
            }
        }
    }

    #[test]
    fn a_snapshot_gives_the_same_distances_to_the_bit() {
        let mut discord = Discord::<KEEP>::default();
        for i in 0..1_000 {
            discord.push(noise(i), 1.0);
            let restored: Discord<KEEP> = postcard::from_bytes(&postcard::to_stdvec(&discord).unwrap()).unwrap();
            let bits = |d: &Discord<KEEP>| d.squared.iter().map(|s| s.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&restored), bits(&discord), "after {i}");
            assert_eq!(restored, discord);
        }
    }

    #[test]
    fn a_shape_never_seen_stands_out_of_a_repeating_one() {
        let mut discord = Discord::<KEEP>::default();
        let mut z_of = |value: f32| {
            discord.push(value, 7.0);
            discord.z()
        };
        (0..500).for_each(|i| _ = z_of((i % 24) as f32 + noise(i)));
        let usual = (500..1_004).map(|i| z_of((i % 24) as f32 + noise(i))).fold(0.0, f32::max);
        let broken = (0..16).map(|i| z_of(12.0 + noise(i))).fold(0.0, f32::max);
        assert!(broken > 4.0 && usual < 1.0, "{usual} {broken}");
    }
}
