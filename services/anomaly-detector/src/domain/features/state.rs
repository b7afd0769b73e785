//! The state of one (device, metric), and what one reading makes of it.

use serde::{Deserialize, Serialize};

use super::{
    autoregression::{Autoregression, Residual},
    cadence::Cadence,
    discord::Discord,
    expectation::Expectation,
    history::History,
    moments::{Average, Moments},
    repeats::Repeats,
    row::{FEATURE_COUNT, Row, squash},
    time_of_day::TimeOfDay,
    window::SortedWindow,
};

/// Readings before the first score: enough for a level, a spread and a prediction.
pub const WARM_UP: u32 = 64;

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
    recent: History<288>,
    window_12: SortedWindow<12>,
    window_48: SortedWindow<48>,
    window_288: SortedWindow<288>,
    long: Moments,
    step: Average,
    low: f32,
    high: f32,
    repeats: Repeats,
    autoregression: Autoregression,
    daily: TimeOfDay,
    daily_off: f32,
    expectation: Expectation,
    fine: Discord,
    middle: Coarse<4>,
    coarse: Coarse<16>,
    peaks: Peaks,
}

/// A discord over means of `STRIDE` readings; between two of them its last word stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Coarse<const STRIDE: u8> {
    sum: f32,
    count: u8,
    discord: Discord,
    levels: Moments,
    level_z: f32,
}

/// Short maxima and means of the strongest features, fading over some eight readings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Peaks {
    increment: f32,
    prediction: f32,
    discord: f32,
    discord_mean: f32,
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
        let mut row = Row::default();
        self.against_levels(&mut row, x, floor);
        let daily = self.daily.usual(at_micros);
        self.against_the_day(&mut row, x, floor, daily);
        let median = f64::from(self.window_48.median());
        let (level, half) = self.expectation.push(off, if self.count == 0 { off } else { median }, daily.map(|d| f64::from(d.0)));
        self.learn(at_micros, x, off);
        self.against_shapes(&mut row, x, off, floor);
        self.count = self.count.saturating_add(1);
        row[FEATURE_COUNT - 1] = (f64::from(self.count) / f64::from(LONG)).min(1.0) as f32;
        let expected = self.anchor + level;
        Ok(Observation {
            row,
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

    /// The least deviation any z is measured in: a share of the long one, and of what f32 resolves.
    fn floor(&self) -> f64 {
        let resolution = 1e-7 * self.anchor.abs() + 1e-6 * self.long.mean().abs();
        (0.05 * self.long.deviation()).max(resolution).max(1e-9)
    }

    fn against_levels(&self, row: &mut Row, x: f32, floor: f64) {
        let z = |median: f32, spread: f32| f64::from((x - median).abs()) / (f64::from(spread) + floor);
        row[0] = squash(z(self.window_12.median(), self.window_12.spread()));
        row[1] = squash(z(self.window_48.median(), self.window_48.spread()));
        row[2] = squash(z(self.window_288.median(), self.window_288.spread()));
        row[3] = squash(self.long.z(f64::from(x), floor).abs());
        let spread = f64::from(self.window_288.spread()) + floor;
        row[14] = squash(f64::from(self.window_288.beyond(x)) / spread);
        let range = f64::from(self.high - self.low) + floor;
        row[15] = squash(8.0 * f64::from((self.low - x).max(x - self.high).max(0.0)) / range);
        row[17] = self.window_288.tail_rank(x);
        row[25] = self.window_48.tail_rank(x);
    }

    fn against_the_day(&mut self, row: &mut Row, x: f32, floor: f64, daily: Option<(f32, f32)>) {
        let Some((mean, deviation)) = daily else {
            self.daily_off = 0.0;
            return;
        };
        let z = (f64::from(x - mean) / (1.25 * f64::from(deviation) + floor)).clamp(-50.0, 50.0) as f32;
        self.daily_off += (z - self.daily_off) / 12.0;
        row[18] = squash(f64::from(z.abs()));
        row[19] = squash(f64::from(self.daily_off.abs()));
    }

    fn learn(&mut self, at_micros: i64, x: f32, off: f64) {
        self.window_12.push(x, self.recent.aged(11));
        self.window_48.push(x, self.recent.aged(47));
        self.window_288.push(x, self.recent.aged(287));
        self.recent.push(x);
        if self.count == 0 {
            (self.low, self.high) = (x, x);
        }
        self.low = self.low.min(x);
        self.high = self.high.max(x);
        self.daily.push(at_micros, x);
        self.long.push(off, LONG);
    }

    /// Features of the newest stretch as a whole; the reading is in the histories by now.
    fn against_shapes(&mut self, row: &mut Row, x: f32, off: f64, floor: f64) {
        let long = self.long.deviation() + floor;
        let spread = f64::from(self.window_288.spread()) + floor;
        let (short, _) = mean_and_deviation(self.recent.last(4));
        let (mean_12, deviation_12) = mean_and_deviation(self.recent.last(12));
        let (mean_48, deviation_48) = mean_and_deviation(self.recent.last(48));
        let median = f64::from(self.window_288.median());
        row[4] = squash((short - median).abs() / spread);
        row[5] = squash((mean_12 - median).abs() / spread);
        row[6] = squash((mean_48 - self.long.mean()).abs() / long);
        row[9] = ((deviation_12 + floor) / long).ln() as f32;
        row[10] = ((deviation_48 + floor) / long).ln() as f32;

        let step = f64::from((x - self.recent.aged(1).unwrap_or(x)).abs());
        let usual = self.step.mean + floor;
        row[7] = squash(step / usual);
        row[8] = fade(&mut self.peaks.increment, row[7]);
        self.step.push(if self.count > WARM_UP { step.min(8.0 * usual) } else { step }, 500);

        let standard = ((off - self.long.mean()) / long).clamp(-10.0, 10.0);
        let Residual { ratio, short_over_long } = self.autoregression.push(standard);
        row[11] = squash(ratio);
        row[12] = short_over_long.max(1e-3).ln() as f32;
        row[13] = fade(&mut self.peaks.prediction, row[11]);
        row[16] = self.repeats.push(x);

        let z = squash(f64::from(self.fine.push(x, long as f32)));
        self.middle.push(x, long as f32);
        self.coarse.push(x, long as f32);
        self.peaks.discord_mean += (z - self.peaks.discord_mean) / 8.0;
        row[20] = z;
        row[21] = self.peaks.discord_mean;
        row[22] = squash(f64::from(self.middle.discord.z()));
        row[23] = squash(f64::from(self.coarse.discord.z()));
        row[24] = fade(&mut self.peaks.discord, z);
        row[26] = squash(f64::from(self.middle.level_z.abs()));
    }
}

impl<const STRIDE: u8> Coarse<STRIDE> {
    /// The mean begun before a gap is dropped; whole ones stay comparable.
    fn forget_contiguity(&mut self) {
        (self.sum, self.count) = (0.0, 0);
    }

    fn push(&mut self, value: f32, scale: f32) {
        self.sum += value / f32::from(STRIDE);
        self.count += 1;
        if self.count >= STRIDE {
            self.discord.push(self.sum, scale);
            self.level_z = self.levels.z(f64::from(self.sum), 0.05 * f64::from(scale)) as f32;
            self.levels.push(f64::from(self.sum), LONG);
            (self.sum, self.count) = (0.0, 0);
        }
    }
}

fn fade(peak: &mut f32, value: f32) -> f32 {
    *peak = (*peak * 0.9).max(value);
    *peak
}

fn mean_and_deviation(values: &[f32]) -> (f64, f64) {
    let n = values.len().max(1) as f64;
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
    let square = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n;
    (mean, square.sqrt())
}
