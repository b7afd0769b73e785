//! The form in which the release before kept a device: what it was told, and which simple alerts fire.

use std::collections::BTreeMap;

use events::{SeenReadings, Timestamp};
use serde::{Deserialize, Serialize};

use super::device;
use super::excursion::Excursion;

#[derive(Debug, Serialize, Deserialize)]
pub struct Device {
    metrics: BTreeMap<String, Metric>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Metric {
    seen: SeenReadings,
    firing: BTreeMap<String, Firing>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Firing {
    started_at: Timestamp,
}

impl From<Device> for device::Device {
    fn from(old: Device) -> Self {
        let metrics = old.metrics.into_iter().map(|(name, Metric { seen, firing })| {
            let excursions = firing.into_iter().map(|(rule, Firing { started_at })| Excursion::firing_since(rule, started_at));
            device::Metric::restored(name, seen, excursions.collect())
        });
        Self::restored(metrics.collect())
    }
}

/// What the release before can go on with: open alerts stay open, what it does not know of is lost.
impl From<&device::Device> for Device {
    fn from(new: &device::Device) -> Self {
        let metrics = new.metrics.iter().map(|metric| {
            let open = metric.excursions.iter().filter_map(|excursion| Some((excursion.rule.clone(), excursion.alert.as_ref()?)));
            let firing = open.map(|(rule, alert)| (rule, Firing { started_at: alert.started_at })).collect();
            (metric.name.clone(), Metric { seen: metric.seen.clone(), firing })
        });
        Self { metrics: metrics.collect() }
    }
}
