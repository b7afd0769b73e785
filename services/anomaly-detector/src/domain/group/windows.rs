//! The state of one group, and what a window makes of it.

use std::collections::{BTreeMap, BTreeSet};

use events::Aggregate;
use serde::{Deserialize, Serialize};

use super::{Drift, DriftRules, Fused, Fusion, FusionRules, Health, Stuck, of_all, without_each};

/// Slots that wait for stragglers and corrections before they are judged.
const OPEN_SLOTS: i64 = 2;
/// A sensor is judged by at least so many others.
const LEAST_PEERS: usize = 2;

#[derive(Clone, Debug, PartialEq)]
pub struct GroupRules {
    /// Length of the windows that health is judged by; those that begin at its multiples are taken.
    pub health_window_micros: i64,
    /// Length of the windows that are fused.
    pub fusion_window_micros: i64,
    pub drift: DriftRules,
    pub stuck_after_micros: i64,
    pub fusion: FusionRules,
}

/// What a window led to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    /// Devices of whose health there is news.
    pub health: BTreeSet<String>,
    pub fused: Option<Fused>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Group {
    metrics: BTreeMap<String, Metric>,
    fusion: Fusion,
    newest: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Metric {
    /// By end, then by device.
    slots: BTreeMap<i64, BTreeMap<String, Slot>>,
    judged_to: i64,
    sensors: BTreeMap<String, Sensor>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Slot {
    mean: f64,
    min: f64,
    max: f64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Sensor {
    drift: Drift,
    stuck: Stuck,
    told: Option<Health>,
}

impl Group {
    pub fn take(&mut self, window: &Aggregate, rules: &GroupRules) -> Said {
        let (start, end) = (window.window_start.as_micros(), window.window_end.as_micros());
        self.newest = self.newest.max(end);
        let mut said = Said::default();
        if end - start == rules.health_window_micros && start % rules.health_window_micros == 0 {
            self.metrics.entry(window.metric.clone()).or_default().take(window, end, rules, &mut said.health);
        }
        if end - start == rules.fusion_window_micros && window.revision == 0 {
            let metrics = &self.metrics;
            said.fused = self.fusion.take(window, &rules.fusion, |device, metric| {
                let told = metrics.get(metric).and_then(|metric| metric.sensors.get(device)?.told);
                told.map_or(1.0, |told| told.weight)
            });
        }
        said
    }

    /// What is known of a device's metrics.
    pub fn health_of<'a>(&'a self, device_id: &'a str) -> impl Iterator<Item = (&'a str, Health)> {
        self.metrics.iter().filter_map(move |(name, metric)| Some((name.as_str(), metric.sensors.get(device_id)?.told?)))
    }

    /// When [`expire`](Self::expire) has to be asked.
    pub fn due(&self, rules: &GroupRules) -> Option<i64> {
        self.fusion.due(&rules.fusion)
    }

    pub fn expire(&mut self, now: i64) -> Option<Fused> {
        self.fusion.expire(now)
    }

    /// End of the newest window.
    pub fn newest(&self) -> i64 {
        self.newest
    }

    pub fn is_empty(&self) -> bool {
        self.newest == 0
    }
}

impl Metric {
    fn take(&mut self, window: &Aggregate, end: i64, rules: &GroupRules, news: &mut BTreeSet<String>) {
        if end <= self.judged_to {
            return;
        }
        let slot = Slot { mean: window.mean, min: window.min, max: window.max };
        self.slots.entry(end).or_default().insert(window.device_id.clone(), slot);
        let newest = self.slots.last_key_value().map_or(end, |(end, _)| *end);
        let ripe = newest - OPEN_SLOTS * rules.health_window_micros;
        while let Some(entry) = self.slots.first_entry().filter(|entry| *entry.key() <= ripe) {
            let (end, slot) = entry.remove_entry();
            self.judged_to = end;
            self.judge(end, &slot, rules, news);
        }
    }

    /// What the group says to each: the median of the others, each brought to the group's level. A sensor whose own level is
    /// not known yet is compared with them all; where too few levels are known, with the means as they are, its own included:
    /// medians that leave one out differ from one to the next, and so would the levels learned from them.
    fn peers(&self, slot: &BTreeMap<String, Slot>) -> Vec<Option<f64>> {
        let trusted = |sensor: &Sensor| !sensor.stuck.is_stuck() && !sensor.drift.is_drifting();
        let levelled = slot.iter().map(|(device, slot)| {
            let sensor = self.sensors.get(device).filter(|sensor| trusted(sensor));
            sensor.and_then(|sensor| sensor.drift.level()).map_or((slot.mean, false), |level| (slot.mean - level, true))
        });
        let levelled: Vec<(f64, bool)> = levelled.collect();
        let raw = slot.iter().map(|(device, slot)| (slot.mean, self.sensors.get(device).is_none_or(trusted)));
        let raw = of_all(&raw.collect::<Vec<_>>(), LEAST_PEERS + 1);
        let has_level = slot.keys().map(|device| self.sensors.get(device).is_some_and(|sensor| sensor.drift.level().is_some()));
        without_each(&levelled, LEAST_PEERS)
            .into_iter()
            .zip(has_level)
            .map(|(known, has_level)| if has_level { known } else { known.or(raw) })
            .collect()
    }

    fn judge(&mut self, end: i64, slot: &BTreeMap<String, Slot>, rules: &GroupRules, news: &mut BTreeSet<String>) {
        let peers = self.peers(slot);
        for ((device, slot), peers) in slot.iter().zip(peers) {
            let Some(peers) = peers else { continue };
            let sensor = match self.sensors.get_mut(device) {
                Some(sensor) => sensor,
                None => self.sensors.entry(device.clone()).or_default(),
            };
            let hang = sensor.stuck.take(end, (slot.min, slot.max), peers, rules.stuck_after_micros);
            // What a sensor that hangs says is no drift.
            let day = !sensor.stuck.is_stuck() && sensor.drift.take(end, slot.mean, peers, &rules.drift);
            if !(hang || day) {
                continue;
            }
            if let Some(health) = Health::news(sensor.told.as_ref(), &sensor.drift, &sensor.stuck, end) {
                sensor.told = Some(health);
                news.insert(device.clone());
            }
        }
    }
}
