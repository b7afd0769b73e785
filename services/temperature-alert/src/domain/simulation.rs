//! Devices of one input partition under rules, without a stream: for rule tests, backtests and explanations.
//!
//! Time and timers run as in the stream's runtime: a partition's time is the highest `received_at`, and what is due runs
//! before the reading that moves time, in order of (due, key).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use events::{Event, Reading, TemperatureAlert, Timestamp};

use super::device::Device;
use super::outlet::Outlet;
use super::rules::Rules;

pub struct Simulation {
    rules: Arc<Rules>,
    devices: HashMap<String, Timed>,
    /// At most one of each key, at or before its due time.
    timers: BTreeSet<(Timestamp, String)>,
    time: Timestamp,
    said: Announced,
}

struct Timed {
    device: Device,
    timer: Option<Timestamp>,
}

#[derive(Default)]
struct Announced {
    alerts: Vec<TemperatureAlert>,
    active: BTreeMap<String, u32>,
}

impl Outlet for Announced {
    fn announce(&mut self, alert: TemperatureAlert) {
        self.alerts.push(alert);
    }

    fn active(&mut self, rule: &str) -> u32 {
        self.active.get(rule).copied().unwrap_or_default()
    }

    fn count(&mut self, rule: &str, change: i32) {
        let active = self.active.entry(rule.to_owned()).or_default();
        *active = active.saturating_add_signed(change);
    }
}

impl Simulation {
    pub fn new(rules: Arc<Rules>) -> Self {
        Self { rules, devices: HashMap::new(), timers: BTreeSet::new(), time: Timestamp::MIN, said: Announced::default() }
    }

    /// Goes on from a device's state.
    pub fn restore(&mut self, key: &str, mut device: Device, time: Timestamp) {
        self.time = self.time.max(time);
        device.reconcile(key, self.time, &self.rules, &mut self.said);
        for rule in device.active() {
            self.said.active.entry(rule.to_owned()).and_modify(|active| *active += 1).or_insert(1);
        }
        self.devices.insert(key.to_owned(), Timed { device, timer: None });
        self.arm(key);
    }

    pub fn take(&mut self, reading: &Reading) {
        self.advance(reading.received_at);
        let key = reading.key();
        let timed = match self.devices.get_mut(&key) {
            Some(timed) => timed,
            None => self.devices.entry(key.clone()).or_insert_with(|| Timed { device: Device::default(), timer: None }),
        };
        timed.device.take(reading, &self.rules, &mut self.said);
        self.arm(&key);
    }

    /// Moves time, if `to` is later, and does what is due by then.
    pub fn advance(&mut self, to: Timestamp) {
        while let Some((due, key)) = self.timers.first().filter(|(due, _)| *due <= to).cloned() {
            self.timers.pop_first();
            let Some(timed) = self.devices.get_mut(&key) else { continue };
            timed.timer = None;
            if timed.device.due(&self.rules).is_some_and(|at| at <= due) {
                timed.device.pass(&key, due, &self.rules, &mut self.said);
            }
            if timed.device.is_unknown() {
                self.devices.remove(&key);
            } else {
                self.arm(&key);
            }
        }
        self.time = self.time.max(to);
    }

    /// Puts other rules in force.
    pub fn replace(&mut self, rules: Arc<Rules>) {
        self.rules = rules;
        let mut keys: Vec<String> = self.devices.keys().cloned().collect();
        keys.sort();
        for key in keys {
            if let Some(timed) = self.devices.get_mut(&key) {
                timed.device.reconcile(&key, self.time, &self.rules, &mut self.said);
            }
            self.arm(&key);
        }
    }

    /// A timer that moves later is left where it is.
    fn arm(&mut self, key: &str) {
        let Some(timed) = self.devices.get_mut(key) else { return };
        let Some(due) = timed.device.due(&self.rules) else { return };
        if timed.timer.is_none_or(|timer| due < timer) {
            if let Some(timer) = timed.timer.replace(due) {
                self.timers.remove(&(timer, key.to_owned()));
            }
            self.timers.insert((due, key.to_owned()));
        }
    }

    /// What was announced since this was asked last.
    pub fn alerts(&mut self) -> Vec<TemperatureAlert> {
        std::mem::take(&mut self.said.alerts)
    }

    pub fn device(&self, key: &str) -> Option<&Device> {
        self.devices.get(key).map(|timed| &timed.device)
    }

    pub fn time(&self) -> Timestamp {
        self.time
    }

    pub fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }
}
