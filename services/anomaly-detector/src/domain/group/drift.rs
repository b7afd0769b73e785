//! Drift of one sensor against its group.
//!
//! In its first days the sensor's level beside the group is learned, so that its word about the group is worth as much as
//! any other's, whoever is missing. During the rest of commissioning gain and offset of the sensor against the median of the
//! others are fitted, and how much its daily mean strays from that. Then, once a day, either rule judges:
//! - CUSUM (Page, 1954): the standardised daily residual, less `k`, is summed up on either side; beyond `h` it drifts.
//! - weekly: the sensor's own mean of seven days lies more than two deviations of its earlier seven-day means from them.
//!
//! It has healed when the mean of `heal_days` is within one deviation of what commissioning found (weekly: when that many in
//! a row break no rule).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

const DAY_MICROS: i64 = 86_400_000_000;
/// Days in which a sensor's level is learned.
const LEVEL_DAYS: usize = 3;
/// One day says at most this much: no single one can make a drift.
const MOST_A_DAY: f64 = 8.0;
/// What a dozen days say of the daily residual's deviation is too little: days are like the days before them.
const FEW_DAYS: f64 = 1.6;
/// One sensor that is wrong moves the median of a few others by up to this much of how they differ anyway: nobody's drift.
const OF_A_SLOT: f64 = 0.4;
const WEEK: usize = 7;
/// Days the weekly rule knows: eight weeks, and the one it judges.
const HISTORY: usize = 9 * WEEK;
const HISTORY_LEAST: usize = 3 * WEEK;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DriftRule {
    Cusum,
    Weekly,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DriftRules {
    pub rule: DriftRule,
    pub commission_days: usize,
    pub k: f64,
    pub h: f64,
    pub heal_days: u8,
    /// Slots a day needs to be judged: a few hours say little about a day.
    pub least_slots: u32,
}

impl Default for DriftRules {
    fn default() -> Self {
        Self { rule: DriftRule::Cusum, commission_days: 14, k: 1.0, h: 30.0, heal_days: 3, least_slots: 24 }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    today: Day,
    /// How far the sensor lies above its group, day by day, then on the whole.
    levels: Vec<f64>,
    level: Option<f64>,
    fit: Fit,
    baseline: Option<Baseline>,
    /// Daily means of the sensor, the newest last.
    own: VecDeque<f64>,
    /// Residuals of the last week, in the metric's unit.
    recent: VecDeque<f64>,
    up: f64,
    down: f64,
    calm_days: u8,
    drifting: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Day {
    number: i64,
    slots: u32,
    own: f64,
    peers: f64,
}

/// What commissioning has seen: moments of the slots, relative to the first, and the days' means.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Fit {
    origin: Option<(f64, f64)>,
    count: f64,
    own: f64,
    peers: f64,
    own_squared: f64,
    peers_squared: f64,
    product: f64,
    days: Vec<(f64, f64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Baseline {
    gain: f64,
    offset: f64,
    /// Of the daily residual, in the metric's unit.
    deviation: f64,
}

impl Drift {
    /// One slot's mean, and the median of the others' means: of all means while this one's level is not known. True when a day
    /// was completed by it.
    pub fn take(&mut self, end_micros: i64, own: f64, peers: f64, rules: &DriftRules) -> bool {
        let number = (end_micros - 1).div_euclid(DAY_MICROS);
        let mut completed = false;
        if number > self.today.number {
            if self.today.slots >= rules.least_slots {
                self.complete(rules);
                completed = true;
            }
            self.today = Day { number, ..Day::default() };
        }
        self.today.slots += 1;
        self.today.own += own;
        self.today.peers += peers;
        if self.level.is_some() && self.baseline.is_none() {
            self.fit.take(own, peers);
        }
        completed
    }

    /// How far the sensor lies above its group, once that is known.
    pub fn level(&self) -> Option<f64> {
        self.level
    }

    pub fn is_drifting(&self) -> bool {
        self.drifting
    }

    /// Commissioned, and therefore judged.
    pub fn is_judged(&self) -> bool {
        self.baseline.is_some()
    }

    /// The mean residual of the last week, in the metric's unit.
    pub fn residual(&self) -> Option<f64> {
        self.baseline.and(mean_of(self.recent.iter()))
    }

    /// The same in deviations.
    pub fn off(&self) -> f64 {
        self.baseline.zip(self.residual()).map_or(0.0, |(baseline, residual)| residual / baseline.deviation)
    }

    fn complete(&mut self, rules: &DriftRules) {
        let slots = f64::from(self.today.slots);
        let (own, peers) = (self.today.own / slots, self.today.peers / slots);
        push_bounded(&mut self.own, own, HISTORY);
        if self.level.is_none() {
            self.levels.push(own - peers);
            if self.levels.len() >= LEVEL_DAYS {
                self.level = Some(mean_and_deviation(&std::mem::take(&mut self.levels)).0);
            }
            return;
        }
        let Some(baseline) = self.baseline else {
            self.fit.days.push((own, peers));
            if self.fit.days.len() + LEVEL_DAYS >= rules.commission_days.max(LEVEL_DAYS + 2) {
                self.baseline = Some(std::mem::take(&mut self.fit).baseline());
            }
            return;
        };
        let residual = own - baseline.gain * peers - baseline.offset;
        push_bounded(&mut self.recent, residual, WEEK);
        let z = (residual / baseline.deviation).clamp(-MOST_A_DAY, MOST_A_DAY);
        self.up = (self.up + z - rules.k).max(0.0);
        self.down = (self.down - z - rules.k).max(0.0);
        let (breaks, calm, needed) = match rules.rule {
            DriftRule::Cusum => (self.up > rules.h || self.down > rules.h, self.is_back(baseline, rules.heal_days), 1),
            DriftRule::Weekly => {
                let breaks = self.breaks_weekly_rule();
                (breaks, !breaks, rules.heal_days)
            }
        };
        self.calm_days = if calm { self.calm_days.saturating_add(1) } else { 0 };
        if !self.drifting {
            self.drifting = breaks;
            self.calm_days = 0;
        } else if self.calm_days >= needed {
            (self.drifting, self.up, self.down) = (false, 0.0, 0.0);
        }
    }

    fn is_back(&self, baseline: Baseline, days: u8) -> bool {
        let days = usize::from(days).clamp(1, WEEK);
        self.recent.len() >= days && mean_of(self.recent.iter().rev().take(days)).is_some_and(|mean| mean.abs() <= baseline.deviation)
    }

    fn breaks_weekly_rule(&self) -> bool {
        let Some(before) = self.own.len().checked_sub(WEEK).filter(|before| *before >= HISTORY_LEAST) else { return false };
        let days: Vec<f64> = self.own.iter().copied().collect();
        let week = |days: &[f64]| days.iter().sum::<f64>() / WEEK as f64;
        let earlier: Vec<f64> = days[..before].windows(WEEK).map(week).collect();
        let (mean, deviation) = mean_and_deviation(&earlier);
        (week(&days[before..]) - mean).abs() > 2.0 * deviation
    }
}

impl Fit {
    fn take(&mut self, own: f64, peers: f64) {
        let (own_origin, peers_origin) = *self.origin.get_or_insert((own, peers));
        let (own, peers) = (own - own_origin, peers - peers_origin);
        self.count += 1.0;
        self.own += own;
        self.peers += peers;
        self.own_squared += own * own;
        self.peers_squared += peers * peers;
        self.product += own * peers;
    }

    fn baseline(self) -> Baseline {
        let (own, peers) = (self.own / self.count, self.peers / self.count);
        let own_variance = (self.own_squared / self.count - own * own).max(0.0);
        let peers_variance = (self.peers_squared / self.count - peers * peers).max(0.0);
        let covariance = self.product / self.count - own * peers;
        // Where the group hardly moves its noise would decide the gain.
        let gain =
            if peers_variance > 0.01 * own_variance && peers_variance > 0.0 { (covariance / peers_variance).clamp(0.5, 2.0) } else { 1.0 };
        let residuals: Vec<f64> = self.days.iter().map(|(own, peers)| own - gain * peers).collect();
        let (offset, deviation) = mean_and_deviation(&residuals);
        let of_a_slot = (own_variance - 2.0 * gain * covariance + gain * gain * peers_variance).max(0.0).sqrt();
        Baseline { gain, offset, deviation: (FEW_DAYS * deviation).max(OF_A_SLOT * of_a_slot).max(1e-9) }
    }
}

fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n.max(1.0);
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    (mean, (squares / (n - 1.0).max(1.0)).sqrt())
}

fn mean_of<'a>(values: impl ExactSizeIterator<Item = &'a f64>) -> Option<f64> {
    let count = values.len();
    (count > 0).then(|| values.sum::<f64>() / count as f64)
}

fn push_bounded(ring: &mut VecDeque<f64>, value: f64, most: usize) {
    if ring.len() == most {
        ring.pop_front();
    }
    ring.push_back(value);
}
