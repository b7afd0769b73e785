//! The latest of every device: status, health and the last values of each metric.
//!
//! Guarantees: bounded, in devices, in metrics of a device and in values of a metric; whatever comes late or again, the
//! newest stays. Beyond the bound, what was heard of longest ago goes.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use events::{DeviceKey, DeviceState, DeviceStatus, HealthState, Reading, SensorHealth, Timestamp};

/// Where a full map makes room, one in so many goes: whoever is to go is looked for rarely, and not for every newcomer.
const SHED: usize = 16;

/// How much is kept at most.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub devices: usize,
    /// Of a device.
    pub metrics: usize,
    /// Of a metric.
    pub values: usize,
}

/// What was measured, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    pub measured_at: Timestamp,
    pub value: f64,
}

/// The last values of a metric.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Latest {
    /// UCUM; of the newest value.
    pub unit: String,
    /// By `measured_at`, newest last; never empty in a [`Device`].
    pub values: VecDeque<Measured>,
}

/// What is known of a device.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Device {
    pub status: Option<DeviceStatus>,
    pub health: Option<SensorHealth>,
    pub metrics: BTreeMap<String, Latest>,
    /// When its last reading was received.
    pub received_at: Option<Timestamp>,
    group_id: Option<String>,
    /// The map's count of what it took when this device was heard of last.
    heard: u64,
}

/// Every part that is given must hold; within a part one value must. Empty parts do not filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceFilter {
    pub device_ids: Vec<String>,
    pub states: Vec<DeviceState>,
    pub health: Vec<HealthState>,
    pub group_ids: Vec<String>,
    /// Part of device or group, whatever its case.
    pub text: Option<String>,
}

/// A page in order of `device_id`.
#[derive(Debug, Default)]
pub struct DevicePage {
    pub devices: Vec<(String, Device)>,
    /// More follow.
    pub more: bool,
}

/// The devices of all tenants.
#[derive(Debug)]
pub struct Devices {
    bounds: Bounds,
    tenants: BTreeMap<String, BTreeMap<String, Device>>,
    count: usize,
    taken: u64,
}

impl Latest {
    /// Keeps a value in its place; returns whether it is the newest.
    fn take(&mut self, measured: Measured, most: usize) -> bool {
        let place = self.values.partition_point(|known| known.measured_at <= measured.measured_at);
        let again = self.values.range(..place).rev().take_while(|known| known.measured_at == measured.measured_at);
        if { again }.any(|known| known.value.to_bits() == measured.value.to_bits()) {
            return false;
        }
        let newest = place == self.values.len();
        self.values.insert(place, measured);
        if self.values.len() > most {
            self.values.pop_front();
        }
        newest
    }

    fn newest(&self) -> Option<Timestamp> {
        self.values.back().map(|last| last.measured_at)
    }
}

impl Device {
    /// Room, line or site: of its newest reading that names one, else as its health has it.
    pub fn group_id(&self) -> Option<&str> {
        self.group_id.as_deref().or_else(|| self.health.as_ref()?.group_id.as_deref())
    }

    /// Unknown while nobody told.
    pub fn state(&self) -> DeviceState {
        self.status.as_ref().map_or(DeviceState::Unknown, |status| status.state)
    }

    /// As its worst metric is; unknown while nobody told.
    pub fn health_state(&self) -> HealthState {
        let metrics = self.health.as_ref().map(|health| health.metrics.as_slice()).unwrap_or_default();
        let any = |state| metrics.iter().any(|metric| metric.state == state);
        let worst = [HealthState::Stuck, HealthState::Drifting, HealthState::Unknown].into_iter().find(|state| any(*state));
        worst.unwrap_or(if metrics.is_empty() { HealthState::Unknown } else { HealthState::Healthy })
    }

    fn take(&mut self, reading: &Reading, bounds: &Bounds) {
        self.received_at = self.received_at.max(Some(reading.received_at));
        if !self.metrics.contains_key(&reading.metric) {
            let oldest =
                self.metrics.iter().min_by_key(|(_, latest)| latest.newest()).map(|(metric, latest)| (metric.clone(), latest.newest()));
            if let Some((oldest, newest)) = oldest.filter(|_| self.metrics.len() >= bounds.metrics) {
                if newest > Some(reading.measured_at) {
                    return;
                }
                self.metrics.remove(&oldest);
            }
        }
        let latest = self.metrics.entry(reading.metric.clone()).or_default();
        if latest.take(Measured { measured_at: reading.measured_at, value: reading.value }, bounds.values) {
            latest.unit.clone_from(&reading.unit);
            if reading.group_id.is_some() {
                self.group_id.clone_from(&reading.group_id);
            }
        }
    }
}

impl DeviceFilter {
    pub fn matches(&self, device_id: &str, device: &Device) -> bool {
        let group_id = device.group_id();
        (self.device_ids.is_empty() || self.device_ids.iter().any(|wanted| wanted == device_id))
            && (self.states.is_empty() || self.states.contains(&device.state()))
            && (self.health.is_empty() || self.health.contains(&device.health_state()))
            && (self.group_ids.is_empty() || group_id.is_some_and(|id| self.group_ids.iter().any(|wanted| wanted == id)))
            && self.text.as_deref().is_none_or(|text| {
                let text = text.to_lowercase();
                [Some(device_id), group_id].into_iter().flatten().any(|part| part.to_lowercase().contains(&text))
            })
    }
}

impl Devices {
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, tenants: BTreeMap::new(), count: 0, taken: 0 }
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns how many devices had to go. What the broker had kept from earlier was not measured now: it is passed over.
    pub fn take_reading(&mut self, reading: &Reading) -> usize {
        if !reading.is_fresh() {
            return 0;
        }
        let bounds = self.bounds;
        let (device, shed) = self.device(&reading.tenant, &reading.device_id);
        device.take(reading, &bounds);
        shed
    }

    /// Returns how many devices had to go.
    pub fn take_status(&mut self, status: DeviceStatus) -> usize {
        let (device, shed) = self.device(&status.tenant, &status.device_id);
        if device.status.as_ref().is_none_or(|known| known.changed_at <= status.changed_at) {
            device.status = Some(status);
        }
        shed
    }

    /// Returns how many devices had to go.
    pub fn take_health(&mut self, mut health: SensorHealth) -> usize {
        health.metrics.truncate(self.bounds.metrics);
        let (device, shed) = self.device(&health.tenant, &health.device_id);
        if device.health.as_ref().is_none_or(|known| known.changed_at <= health.changed_at) {
            device.health = Some(health);
        }
        shed
    }

    /// Its status is no longer kept: the device is gone, unless it was heard of after `at`.
    pub fn forget_status(&mut self, key: &DeviceKey, at: Timestamp) {
        self.change(key, |device| {
            device.status = None;
            device.received_at > Some(at)
        });
    }

    /// Its health is no longer kept; the device may be.
    pub fn forget_health(&mut self, key: &DeviceKey) {
        self.change(key, |device| {
            device.health = None;
            device.status.is_some() || !device.metrics.is_empty()
        });
    }

    pub fn find(&self, tenant: &str, device_id: &str) -> Option<&Device> {
        self.tenants.get(tenant)?.get(device_id)
    }

    /// Up to `limit` devices of a tenant after `after`, by `device_id`.
    pub fn page(&self, tenant: &str, filter: &DeviceFilter, after: Option<&str>, limit: usize) -> DevicePage {
        let Some(devices) = self.tenants.get(tenant) else { return DevicePage::default() };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut found = devices.range::<str, _>((from, Bound::Unbounded)).filter(|(id, device)| filter.matches(id, device));
        let devices = found.by_ref().take(limit).map(|(id, device)| (id.clone(), device.clone())).collect();
        DevicePage { devices, more: found.next().is_some() }
    }

    /// How much was taken so far: a mark for [`heard_since`](Self::heard_since).
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// A tenant's devices that were heard of after so much was taken.
    pub fn heard_since(&self, tenant: &str, taken: u64) -> Vec<(String, Device)> {
        let devices = self.tenants.get(tenant).into_iter().flatten();
        devices.filter(|(_, device)| device.heard > taken).map(|(id, device)| (id.clone(), device.clone())).collect()
    }

    /// The device, made if it is new, and how many others had to go for it.
    fn device(&mut self, tenant: &str, device_id: &str) -> (&mut Device, usize) {
        let is_new = self.find(tenant, device_id).is_none();
        let shed = if is_new && self.count >= self.bounds.devices { self.shed() } else { 0 };
        self.count += usize::from(is_new);
        self.taken += 1;
        let device = self.tenants.entry(tenant.to_owned()).or_default().entry(device_id.to_owned()).or_default();
        device.heard = self.taken;
        (device, shed)
    }

    /// Lets those go that were heard of longest ago.
    fn shed(&mut self) -> usize {
        let mut heard: Vec<u64> = self.tenants.values().flat_map(BTreeMap::values).map(|device| device.heard).collect();
        let (before, last) = (heard.len(), (heard.len() / SHED).min(heard.len().saturating_sub(1)));
        if heard.is_empty() {
            return 0;
        }
        let (_, youngest, _) = heard.select_nth_unstable(last);
        let youngest = *youngest;
        self.keep(|device| device.heard > youngest);
        before - self.count
    }

    fn keep(&mut self, wanted: impl Fn(&Device) -> bool) {
        for devices in self.tenants.values_mut() {
            devices.retain(|_, device| wanted(device));
        }
        self.tenants.retain(|_, devices| !devices.is_empty());
        self.count = self.tenants.values().map(BTreeMap::len).sum();
    }

    /// Changes a device that is known; it stays if `change` says so.
    fn change(&mut self, key: &DeviceKey, change: impl FnOnce(&mut Device) -> bool) {
        let Some(devices) = self.tenants.get_mut(&key.tenant) else { return };
        let Some(device) = devices.get_mut(&key.device_id) else { return };
        if !change(device) {
            devices.remove(&key.device_id);
            self.count -= 1;
            if devices.is_empty() {
                self.tenants.remove(&key.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use events::{ATTRIBUTE_RETAINED, DEFAULT_TENANT, Labels, MetricHealth};

    use super::*;

    const BOUNDS: Bounds = Bounds { devices: 32, metrics: 2, values: 3 };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1_000)
    }

    fn reading(device_id: &str, second: i64, value: f64) -> Reading {
        Reading {
            tenant: DEFAULT_TENANT.into(),
            device_id: device_id.into(),
            group_id: Some("hall-1".into()),
            metric: "temperature".into(),
            value,
            unit: "Cel".into(),
            measured_at: at(second),
            received_at: at(second),
            sequence: None,
            attributes: Labels::new(),
        }
    }

    fn status(device_id: &str, state: DeviceState, second: i64) -> DeviceStatus {
        DeviceStatus { tenant: DEFAULT_TENANT.into(), device_id: device_id.into(), state, reason: "birth".into(), changed_at: at(second) }
    }

    fn health(device_id: &str, states: &[HealthState]) -> SensorHealth {
        let metric = |state: &HealthState| MetricHealth { metric: "x".into(), state: *state, weight: 1.0, residual: None, since: at(0) };
        SensorHealth {
            tenant: DEFAULT_TENANT.into(),
            device_id: device_id.into(),
            group_id: Some("hall-2".into()),
            changed_at: at(0),
            metrics: states.iter().map(metric).collect(),
        }
    }

    fn values(devices: &Devices, device_id: &str) -> Vec<f64> {
        devices.find(DEFAULT_TENANT, device_id).unwrap().metrics["temperature"].values.iter().map(|one| one.value).collect()
    }

    fn ids(devices: &Devices, filter: &DeviceFilter) -> Vec<String> {
        devices.page(DEFAULT_TENANT, filter, None, 100).devices.into_iter().map(|(id, _)| id).collect()
    }

    #[test]
    fn the_newest_values_stay_whatever_comes_late_or_again() {
        let mut devices = Devices::new(BOUNDS);
        for (second, value) in [(10, 1.0), (30, 3.0), (20, 2.0), (30, 3.0), (40, 4.0), (5, 0.5)] {
            devices.take_reading(&reading("a", second, value));
        }
        assert_eq!(values(&devices, "a"), [2.0, 3.0, 4.0]);
        let retained = Labels::from([(ATTRIBUTE_RETAINED.into(), "true".into())]);
        devices.take_reading(&Reading { attributes: retained, ..reading("a", 50, 5.0) });
        assert_eq!(values(&devices, "a"), [2.0, 3.0, 4.0]);
    }

    #[test]
    fn metrics_of_a_device_are_bounded_and_the_one_measured_longest_ago_goes() {
        let mut devices = Devices::new(BOUNDS);
        let of = |metric: &str, second| Reading { metric: metric.into(), ..reading("a", second, 1.0) };
        for (metric, second) in [("humidity", 1), ("temperature", 2), ("pressure", 3), ("older", 1)] {
            devices.take_reading(&of(metric, second));
        }
        let kept: Vec<_> = devices.find(DEFAULT_TENANT, "a").unwrap().metrics.keys().cloned().collect();
        assert_eq!(kept, ["pressure", "temperature"]);
    }

    #[test]
    fn devices_are_bounded_and_those_heard_of_longest_ago_go() {
        let mut devices = Devices::new(BOUNDS);
        for number in 0..BOUNDS.devices {
            assert_eq!(devices.take_reading(&reading(&format!("{number:04}"), number as i64, 1.0)), 0);
        }
        devices.take_status(status("0000", DeviceState::Online, 1));
        assert_eq!(devices.take_reading(&reading("new", 0, 1.0)), 3);
        assert_eq!(devices.len(), BOUNDS.devices - 2);
        let gone = |id: &str| devices.find(DEFAULT_TENANT, id).is_none();
        assert!(!gone("0000") && gone("0001") && gone("0003") && !gone("0004") && !gone("new"));
        for number in 0..10_000 {
            devices.take_reading(&reading(&format!("many-{number}"), number, 1.0));
            assert!(devices.len() <= BOUNDS.devices);
        }
    }

    #[test]
    fn one_device_at_most_is_one_device() {
        let mut devices = Devices::new(Bounds { devices: 1, ..BOUNDS });
        for id in ["a", "b", "c"] {
            devices.take_reading(&reading(id, 0, 1.0));
        }
        assert_eq!(ids(&devices, &DeviceFilter::default()), ["c"]);
    }

    #[test]
    fn a_tenant_has_only_its_own_devices() {
        let mut devices = Devices::new(BOUNDS);
        devices.take_reading(&reading("a", 0, 1.0));
        devices.take_reading(&Reading { tenant: "acme".into(), ..reading("b", 0, 1.0) });
        assert_eq!(ids(&devices, &DeviceFilter::default()), ["a"]);
        assert!(devices.find("acme", "a").is_none() && devices.find("acme", "b").is_some());
        assert!(devices.page("nobody", &DeviceFilter::default(), None, 1).devices.is_empty());
    }

    #[test]
    fn who_was_heard_of_since_is_told_apart() {
        let mut devices = Devices::new(BOUNDS);
        devices.take_reading(&reading("a", 0, 1.0));
        devices.take_reading(&reading("b", 0, 1.0));
        let mark = devices.taken();
        devices.take_status(status("b", DeviceState::Online, 1));
        devices.take_reading(&reading("c", 0, 1.0));
        devices.take_reading(&Reading { tenant: "acme".into(), ..reading("d", 0, 1.0) });
        let heard = |taken| devices.heard_since(DEFAULT_TENANT, taken).into_iter().map(|(id, _)| id).collect::<Vec<_>>();
        assert_eq!(
            (heard(0), heard(mark), heard(devices.taken())),
            (vec!["a".into(), "b".into(), "c".into()], vec!["b".into(), "c".into()], vec![])
        );
    }

    #[test]
    fn pages_go_on_after_the_last_device() {
        let mut devices = Devices::new(BOUNDS);
        for id in ["c", "a", "d", "b"] {
            devices.take_reading(&reading(id, 0, 1.0));
        }
        let page = |after| devices.page(DEFAULT_TENANT, &DeviceFilter::default(), after, 2);
        let (first, last) = (page(None), page(Some("b")));
        assert_eq!((first.devices[1].0.as_str(), first.more), ("b", true));
        assert_eq!((last.devices[1].0.as_str(), last.more), ("d", false));
    }

    #[test]
    fn parts_of_a_filter_must_all_hold_and_of_their_values_one() {
        let mut devices = Devices::new(BOUNDS);
        devices.take_reading(&reading("Sensor-1", 0, 1.0));
        devices.take_status(status("Sensor-1", DeviceState::Offline, 2));
        devices.take_status(status("Sensor-1", DeviceState::Online, 1));
        devices.take_health(health("sensor-2", &[HealthState::Healthy, HealthState::Drifting]));
        devices.take_health(health("sensor-3", &[HealthState::Healthy]));
        let filter = DeviceFilter::default();
        for (filter, expected) in [
            (DeviceFilter { states: vec![DeviceState::Offline], ..filter.clone() }, &["Sensor-1"][..]),
            (DeviceFilter { states: vec![DeviceState::Unknown], ..filter.clone() }, &["sensor-2", "sensor-3"]),
            (DeviceFilter { device_ids: vec!["sensor-3".into()], ..filter.clone() }, &["sensor-3"]),
            (DeviceFilter { health: vec![HealthState::Drifting], ..filter.clone() }, &["sensor-2"]),
            (DeviceFilter { health: vec![HealthState::Unknown, HealthState::Healthy], ..filter.clone() }, &["Sensor-1", "sensor-3"]),
            (DeviceFilter { group_ids: vec!["hall-2".into()], ..filter.clone() }, &["sensor-2", "sensor-3"]),
            (DeviceFilter { text: Some("HALL-1".into()), ..filter.clone() }, &["Sensor-1"]),
            (DeviceFilter { text: Some("sensor-1".into()), health: vec![HealthState::Stuck], ..filter.clone() }, &[]),
        ] {
            assert_eq!(ids(&devices, &filter), expected, "{filter:?}");
        }
    }

    #[test]
    fn what_is_no_longer_kept_is_forgotten_unless_it_was_heard_of_since() {
        let mut devices = Devices::new(BOUNDS);
        devices.take_reading(&reading("a", 10, 1.0));
        devices.take_status(status("a", DeviceState::Retired, 1));
        devices.take_health(health("a", &[HealthState::Stuck]));
        let key = DeviceKey::new(DEFAULT_TENANT, "a");
        devices.forget_status(&key, at(9));
        assert_eq!(devices.find(DEFAULT_TENANT, "a").unwrap().state(), DeviceState::Unknown);
        devices.forget_health(&key);
        assert_eq!(devices.find(DEFAULT_TENANT, "a").unwrap().health_state(), HealthState::Unknown);
        devices.forget_status(&key, at(10));
        assert!(devices.find(DEFAULT_TENANT, "a").is_none() && devices.is_empty());
        devices.take_health(health("a", &[HealthState::Stuck]));
        devices.forget_health(&key);
        assert!(devices.is_empty());
    }
}
