//! The state of one (device, metric), and what one reading makes of it.

use serde::{Deserialize, Serialize};

use super::{
    autoregression::{Autoregression, Residual},
    cadence::Cadence,
    discord::Discord,
    echo::{Mean, Peak},
    expectation::Expectation,
    moments::{Average, Moments},
    repeats::Repeats,
    row::{Row, RowWriter, log_ratio, squash},
    stretch::Stretched,
    time_of_day::{TimeOfDay, TimeOfWeek},
    window::SortedWindow,
};

/// Readings before the first score: enough for a level, a spread and a prediction.
pub const WARM_UP: u32 = 64;

/// Readings that stretches are compared with.
const HISTORY: usize = 1_000;
const LONG: u32 = 2_000;
/// Values are kept relative to the first one and within what squares in f32 can hold.
const REACH: f64 = 1e15;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotFinite;

/// What a reading looked like before it became part of the past.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    pub row: Row,
    pub expected: f64,
    pub band_low: f64,
    pub band_high: f64,
    /// At the series' usual interval so far.
    pub readings_per_week: f64,
    /// False during warm-up: such a reading scores 0.
    pub ready: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FeatureState {
    count: u32,
    anchor: f64,
    cadence: Cadence,
    window_12: SortedWindow<12>,
    window_48: SortedWindow<48>,
    window_288: SortedWindow<288>,
    long: Moments,
    low: f32,
    high: f32,
    novelty_peak: Peak,
    rank_mean: Mean<12>,
    daily: TimeOfDay,
    daily_off: Mean<12>,
    weekly: TimeOfWeek,
    weekly_off: Mean<12>,
    step: Average,
    step_peak: Peak,
    autoregression: Autoregression,
    prediction_peak: Peak,
    prediction_mean: Mean<48>,
    repeats: Repeats,
    repeats_peak: Peak,
    expectation: Expectation,
    fine: Discord<HISTORY>,
    fine_echo: DiscordEcho,
    fine_long: Mean<32>,
    middle: Stretched<4, 288>,
    middle_echo: DiscordEcho,
    coarse: Stretched<16, 128>,
    coarse_peak: Peak,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct DiscordEcho {
    mean: Mean<8>,
    peak: Peak,
    new_peak: Peak,
}

/// What deviations are measured in.
#[derive(Clone, Copy)]
struct Scale {
    /// The least deviation any z is measured in: a share of the long one, and of what f32 resolves.
    floor: f64,
    long: f64,
    spread: f64,
}

impl FeatureState {
    /// Features and expectation of a reading, from the readings before it; then the reading joins them.
    pub fn observe(&mut self, at_micros: i64, value: f64) -> Result<Observation, NotFinite> {
        if !value.is_finite() {
            return Err(NotFinite);
        }
        self.start_if_new(value);
        let off = (value - self.anchor).clamp(-REACH, REACH) + 0.0;
        if self.cadence.push(at_micros) {
            self.forget_contiguity();
        }
        let x = off as f32;
        let floor = self.floor();
        let mut row = RowWriter::new();
        row.put(self.against_levels(x, floor));
        let daily = self.daily.usual(at_micros);
        row.put(off_usual(&mut self.daily_off, daily, x, floor));
        row.put(off_usual(&mut self.weekly_off, self.weekly.usual(at_micros), x, floor));
        let median = f64::from(self.window_48.median());
        let (level, half) = self.expectation.push(off, if self.count == 0 { off } else { median }, daily.map(|d| f64::from(d.0)));

        let step = f64::from((x - self.fine.history().aged(0).unwrap_or(x)).abs());
        self.learn(at_micros, x, off);
        // As an f32 it must be finite, whatever the first value was.
        let long = (self.long.deviation() + floor).min(REACH);
        let scale = Scale { floor, long, spread: f64::from(self.window_288.spread()) + floor };
        self.fine.push(x, long as f32);
        row.put(self.stretches(scale));
        row.put(self.steps(step, scale));
        row.put(self.prediction(off, scale));
        row.put(self.runs(x));
        row.put(self.fine_discord(long as f32));
        row.put(self.stretched_discords(x, long as f32));
        self.count = self.count.saturating_add(1);
        row.put([(f64::from(self.count) / f64::from(LONG)).min(1.0) as f32]);

        let expected = self.anchor + level;
        Ok(Observation {
            row: row.finish(),
            expected,
            band_low: expected - half,
            band_high: expected + half,
            readings_per_week: self.cadence.readings_per_week(),
            ready: self.count > WARM_UP,
        })
    }

    /// A first value absurdly far from all that followed makes a bad anchor: f32 would lose what happens far from it.
    fn start_if_new(&mut self, value: f64) {
        let off_anchor = f64::from(self.window_48.median().abs());
        if self.count == WARM_UP && off_anchor > 1e4 * f64::from(self.window_48.spread().abs()) && off_anchor > 1e3 {
            *self = Self { cadence: self.cadence.clone(), ..Self::default() };
        }
        if self.count == 0 {
            self.anchor = value;
        }
    }

    fn forget_contiguity(&mut self) {
        self.autoregression.forget_lags();
        self.fine.forget_contiguity();
        self.middle.forget_contiguity();
        self.coarse.forget_contiguity();
    }

    fn floor(&self) -> f64 {
        let resolution = 1e-7 * self.anchor.abs() + 1e-6 * self.long.mean().abs();
        (0.05 * self.long.deviation()).max(resolution).max(1e-9)
    }

    fn learn(&mut self, at_micros: i64, x: f32, off: f64) {
        let history = self.fine.history();
        self.window_12.push(x, history.aged(11));
        self.window_48.push(x, history.aged(47));
        self.window_288.push(x, history.aged(287));
        if self.count == 0 {
            (self.low, self.high) = (x, x);
        }
        // One absurd value is not to make everything else seem seen before: it counts as half a range out.
        let range = self.high - self.low;
        let reach = if self.count > WARM_UP && range > 0.0 { 0.5 * range } else { f32::INFINITY };
        self.low = self.low.min(x.max(self.low - reach));
        self.high = self.high.max(x.min(self.high + reach));
        self.daily.push(at_micros, x);
        self.weekly.push(at_micros, x);
        self.long.push(off, LONG);
    }

    fn against_levels(&mut self, x: f32, floor: f64) -> [f32; 10] {
        let z = |median: f32, spread: f32| squash(f64::from((x - median).abs()) / (f64::from(spread) + floor));
        let spread = self.window_288.spread();
        let range = f64::from(self.high - self.low) + floor;
        let beyond = f64::from((self.low - x).max(x - self.high).max(0.0));
        let (novelty, rank) = (squash(8.0 * beyond / range), self.window_288.tail_rank(x));
        [
            z(self.window_12.median(), self.window_12.spread()),
            z(self.window_48.median(), self.window_48.spread()),
            z(self.window_288.median(), spread),
            squash(self.long.z(f64::from(x), floor).abs()),
            squash(f64::from(self.window_288.beyond(x)) / (f64::from(spread) + floor)),
            novelty,
            self.novelty_peak.push(novelty),
            self.window_48.tail_rank(x),
            rank,
            self.rank_mean.push(rank),
        ]
    }

    fn stretches(&self, scale: Scale) -> [f32; 8] {
        let history = self.fine.history();
        let [four, twelve, forty_eight, day] = [4, 12, 48, 288].map(|n| mean_and_deviation(history.last(n)));
        let (median, mean) = (f64::from(self.window_288.median()), self.long.mean());
        let deviation = |(_, deviation): (f64, f64)| ((deviation + scale.floor) / scale.long).ln() as f32;
        [
            squash((four.0 - median).abs() / scale.spread),
            squash((twelve.0 - median).abs() / scale.spread),
            squash((forty_eight.0 - mean).abs() / scale.long),
            squash((day.0 - mean).abs() / scale.long),
            deviation(four),
            deviation(twelve),
            deviation(forty_eight),
            deviation(day),
        ]
    }

    fn steps(&mut self, step: f64, scale: Scale) -> [f32; 5] {
        let usual = self.step.mean + 0.2 * scale.floor;
        let history = self.fine.history();
        let lately = |n: usize| log_ratio(mean_step(history.last(n + 1)), usual, 0.1 * (usual + scale.floor));
        let increment = squash(step / usual);
        let family = [increment, self.step_peak.push(increment), lately(8), lately(48), (usual / scale.long).max(1e-4).ln() as f32];
        self.step.push(if self.count > WARM_UP { step.min(8.0 * usual) } else { step }, 500);
        family
    }

    fn prediction(&mut self, off: f64, scale: Scale) -> [f32; 4] {
        let standard = ((off - self.long.mean()) / scale.long).clamp(-10.0, 10.0);
        let Residual { ratio, short_over_long } = self.autoregression.push(standard);
        let error = squash(ratio);
        [error, short_over_long.max(1e-3).ln() as f32, self.prediction_peak.push(error), self.prediction_mean.push(error)]
    }

    fn runs(&mut self, x: f32) -> [f32; 2] {
        let run = self.repeats.push(x);
        [run, self.repeats_peak.push(run)]
    }

    fn fine_discord(&mut self, scale: f32) -> [f32; 8] {
        let discord = &self.fine;
        let z = squash(f64::from(discord.z()));
        [
            z,
            self.fine_echo.mean.push(z),
            self.fine_long.push(z),
            self.fine_echo.peak.push(z),
            distance(discord.far()),
            discord.novelty(),
            self.fine_echo.new_peak.push(discord.novelty() + 3.0),
            distance(discord.usual(scale)),
        ]
    }

    fn stretched_discords(&mut self, x: f32, scale: f32) -> [f32; 14] {
        let new_mean = self.middle.push(x, scale);
        self.coarse.push(x, scale);
        let (middle, coarse, echo) = (self.middle.discord(), self.coarse.discord(), &mut self.middle_echo);
        let (z_4, z_16) = (squash(f64::from(middle.z())), squash(f64::from(coarse.z())));
        if new_mean {
            echo.mean.push(z_4);
        }
        [
            z_4,
            echo.mean.get(),
            echo.peak.push(z_4),
            distance(middle.far()),
            middle.novelty(),
            echo.new_peak.push(middle.novelty() + 3.0),
            distance(middle.usual(scale)),
            z_16,
            self.coarse_peak.push(z_16),
            distance(coarse.far()),
            coarse.novelty(),
            distance(coarse.usual(scale)),
            squash(f64::from(self.middle.level_z().abs())),
            squash(f64::from(self.coarse.level_z().abs())),
        ]
    }
}

/// How far a reading and the last dozen are from what is usual at this time.
fn off_usual(lately: &mut Mean<12>, usual: Option<(f32, f32)>, x: f32, floor: f64) -> [f32; 2] {
    let Some((mean, deviation)) = usual else {
        lately.clear();
        return [0.0, 0.0];
    };
    let z = (f64::from(x - mean) / (1.25 * f64::from(deviation) + floor)).clamp(-50.0, 50.0) as f32;
    [squash(f64::from(z.abs())), squash(f64::from(lately.push(z).abs()))]
}

/// Distances are mostly far below one deviation.
fn distance(deviations: f32) -> f32 {
    squash(10.0 * f64::from(deviations))
}

fn mean_step(values: &[f32]) -> f64 {
    let steps = values.len().max(2) - 1;
    sum(values.get(1..).unwrap_or_default(), values, |now, before| (now - before).abs()) / steps as f64
}

fn mean_and_deviation(values: &[f32]) -> (f64, f64) {
    let n = values.len().max(1) as f64;
    let mean = sum(values, values, |v, _| v) / n;
    let around = mean as f32;
    let square = sum(values, values, |v, _| (v - around) * (v - around)) / n;
    (mean, square.sqrt())
}

/// The sum of a term over pairs, in an order of addition that is fixed and suits a vector unit.
fn sum(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f64 {
    const LANES: usize = 8;
    let b = &b[..a.len()];
    let (chunks_a, chunks_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = chunks_a.remainder().iter().zip(chunks_b.remainder()).map(|(a, b)| term(*a, *b)).sum();
    let mut lanes = [0.0_f32; LANES];
    for (a, b) in chunks_a.zip(chunks_b) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += term(*a, *b);
        }
    }
    lanes.iter().map(|lane| f64::from(*lane)).sum::<f64>() + f64::from(rest)
}
