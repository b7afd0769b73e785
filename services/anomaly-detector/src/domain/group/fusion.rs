//! How sure all signals of a group together are: Σ weight × signal, each signal the strongest any trusted device gives.
//!
//! A signal reads one quantity of one metric and says 0 at `from`, 1 at `full`, in between in proportion; a device's word
//! counts for as much as its sensor can be trusted.

use std::collections::{BTreeMap, VecDeque};

use events::Aggregate;
use serde::{Deserialize, Serialize};

use crate::domain::lifecycle::{Lifecycle, Thresholds, Transition};

/// Windows over which a change is taken.
const CHANGE_OVER: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quantity {
    Mean,
    Max,
    Min,
    /// Of the mean, over the last ten windows.
    Change,
    /// Of the mean from what was expected, in halves of the band's width: beyond 1 it is outside.
    Deviation,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signal {
    pub metric: String,
    #[serde(rename = "of")]
    pub quantity: Quantity,
    pub from: f64,
    pub full: f64,
    pub weight: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FusionRules {
    pub signals: Vec<Signal>,
    pub thresholds: Thresholds,
    /// A window older than this says nothing any more.
    pub memory_micros: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Fusion {
    /// By metric and device.
    latest: BTreeMap<String, BTreeMap<String, Latest>>,
    newest: i64,
    lifecycle: Lifecycle,
    /// Device and metric of what is open.
    about: Option<(String, String)>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Latest {
    end: i64,
    mean: f64,
    min: f64,
    max: f64,
    deviation: f64,
    /// Means of the last windows, the newest last.
    means: VecDeque<f64>,
}

/// One signal's word.
#[derive(Clone, Debug, PartialEq)]
pub struct Spoke {
    pub device_id: String,
    pub metric: String,
    pub quantity: Quantity,
    pub value: f64,
    /// 0 to 1, the sensor's weight included.
    pub strength: f64,
    /// The signal's weight times its strength.
    pub part: f64,
}

/// A change of the group's own anomaly.
#[derive(Clone, Debug, PartialEq)]
pub struct Fused {
    pub transition: Transition,
    /// The device and metric that spoke loudest when it opened.
    pub device_id: String,
    pub metric: String,
    pub confidence: f64,
    pub at_micros: i64,
    /// The loudest first.
    pub spoke: Vec<Spoke>,
}

impl Fusion {
    /// Takes a device's newest window. `weight` is how far a device's metric can be trusted.
    pub(super) fn take(&mut self, window: &Aggregate, rules: &FusionRules, weight: impl Fn(&str, &str) -> f64) -> Option<Fused> {
        if !rules.signals.iter().any(|signal| signal.metric == window.metric) {
            return None;
        }
        let end = window.window_end.as_micros();
        let devices = self.latest.entry(window.metric.clone()).or_default();
        let latest = devices.entry(window.device_id.clone()).or_default();
        if end <= latest.end {
            return None;
        }
        latest.follow(window, end);
        self.newest = self.newest.max(end);
        let oldest = self.newest - rules.memory_micros;
        self.latest.values_mut().for_each(|devices| devices.retain(|_, latest| latest.end >= oldest));
        let spoke = self.ask(rules, weight);
        let confidence = spoke.iter().map(|spoke| spoke.part).sum::<f64>().min(1.0);
        let transition = self.lifecycle.on_score(self.newest, confidence as f32, &rules.thresholds)?;
        self.fused(transition, confidence, self.newest, spoke)
    }

    /// When what is open closes unless a window comes: nothing that spoke says anything by then.
    pub(super) fn due(&self, rules: &FusionRules) -> Option<i64> {
        self.lifecycle.open().map(|_| self.newest.saturating_add(rules.memory_micros))
    }

    pub(super) fn expire(&mut self, now: i64) -> Option<Fused> {
        let transition = self.lifecycle.close(now)?;
        self.latest.clear();
        self.fused(transition, 0.0, now, Vec::new())
    }

    fn fused(&mut self, transition: Transition, confidence: f64, at_micros: i64, spoke: Vec<Spoke>) -> Option<Fused> {
        let (device_id, metric) = match transition {
            Transition::Opened(_) => {
                let loudest = spoke.first().map(|loudest| (loudest.device_id.clone(), loudest.metric.clone()))?;
                self.about.insert(loudest).clone()
            }
            Transition::Closed(_) => self.about.take()?,
        };
        Some(Fused { transition, device_id, metric, confidence, at_micros, spoke })
    }

    fn ask(&self, rules: &FusionRules, weight: impl Fn(&str, &str) -> f64) -> Vec<Spoke> {
        let mut spoke: Vec<Spoke> = rules.signals.iter().filter_map(|signal| self.strongest(signal, &weight)).collect();
        spoke.sort_by(|a, b| b.part.total_cmp(&a.part));
        spoke
    }

    fn strongest(&self, signal: &Signal, weight: &impl Fn(&str, &str) -> f64) -> Option<Spoke> {
        let devices = self.latest.get(&signal.metric)?;
        let words = devices.iter().filter_map(|(device_id, latest)| {
            let value = latest.quantity(signal.quantity)?;
            let strength = ((value - signal.from) / (signal.full - signal.from)).clamp(0.0, 1.0) * weight(device_id, &signal.metric);
            Some((device_id, value, strength))
        });
        let (device_id, value, strength) = words.max_by(|a, b| a.2.total_cmp(&b.2))?;
        let (device_id, metric) = (device_id.clone(), signal.metric.clone());
        (strength > 0.0).then_some(Spoke { device_id, metric, quantity: signal.quantity, value, strength, part: strength * signal.weight })
    }
}

impl Latest {
    fn follow(&mut self, window: &Aggregate, end: i64) {
        (self.end, self.mean, self.min, self.max) = (end, window.mean, window.min, window.max);
        let band = window.expected.zip(window.band_high).map(|(expected, high)| (expected, high - expected));
        self.deviation = band.filter(|(_, half)| *half > 0.0).map_or(0.0, |(expected, half)| (window.mean - expected).abs() / half);
        if self.means.len() > CHANGE_OVER {
            self.means.pop_front();
        }
        self.means.push_back(window.mean);
    }

    fn quantity(&self, quantity: Quantity) -> Option<f64> {
        match quantity {
            Quantity::Mean => Some(self.mean),
            Quantity::Max => Some(self.max),
            Quantity::Min => Some(self.min),
            Quantity::Change => self.means.front().map(|first| self.mean - first),
            Quantity::Deviation => Some(self.deviation),
        }
    }
}
