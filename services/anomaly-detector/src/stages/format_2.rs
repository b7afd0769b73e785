//! How the release before kept a device. What was announced and the features are the same; the calibration begins anew.

use std::collections::BTreeMap;

use events::{SeenReadings, Timestamp};
use serde::{Deserialize, Serialize};

use super::about::About;
use super::detection;
use crate::domain::calibration::Calibration;
use crate::domain::detector;
use crate::domain::features::FeatureState;
use crate::domain::lifecycle::Lifecycle;

#[derive(Serialize, Deserialize)]
pub(super) struct Device {
    about: About,
    last_received: Timestamp,
    scored_by: [u8; 8],
    metrics: BTreeMap<String, Metric>,
}

#[derive(Serialize, Deserialize)]
struct Metric {
    seen: SeenReadings,
    features: FeatureState,
    /// Its usual logits, by bins, and how many there were.
    calibration: (Vec<f32>, f32),
    lifecycle: Lifecycle,
    last_value: f64,
    opened_by: Option<events::Model>,
}

impl From<Device> for detection::Device {
    fn from(Device { about, last_received, scored_by, metrics }: Device) -> Self {
        let metrics = metrics.into_iter().map(|(name, metric)| (name, metric.into())).collect();
        Self { about, last_received, scored_by, metrics, prepared: None }
    }
}

impl From<&detection::Device> for Device {
    fn from(device: &detection::Device) -> Self {
        Self {
            about: device.about.clone(),
            last_received: device.last_received,
            scored_by: device.scored_by,
            metrics: device.metrics.iter().map(|(name, metric)| (name.clone(), metric.into())).collect(),
        }
    }
}

impl From<Metric> for detection::Metric {
    fn from(Metric { seen, features, lifecycle, last_value, opened_by, .. }: Metric) -> Self {
        let memory = detector::Memory { features, calibration: Calibration::default() };
        Self { seen, memory, lifecycle, last_value, opened_by }
    }
}

impl From<&detection::Metric> for Metric {
    fn from(metric: &detection::Metric) -> Self {
        Self {
            seen: metric.seen.clone(),
            features: metric.memory.features.clone(),
            calibration: (Vec::new(), 0.0),
            lifecycle: metric.lifecycle,
            last_value: metric.last_value,
            opened_by: metric.opened_by.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use stream::operator::State;

    use crate::domain::lifecycle::Thresholds;
    use crate::stages::{Device, Metric};

    const MINUTE: i64 = 60_000_000;

    #[test]
    fn a_device_of_the_format_before_goes_on_and_can_be_taken_back() {
        let mut metric = Metric::default();
        for i in 0..4_000 {
            metric.memory.observe(i * MINUTE, (i % 13) as f64).unwrap();
        }
        metric.lifecycle.on_score(4_000 * MINUTE, 0.9, &Thresholds::default());
        let mut device = Device::default();
        device.metrics.insert("temperature".to_owned(), metric);

        let before = device.write(2, Vec::new()).unwrap();
        let mut upgraded = Device::read(2, &before).unwrap();
        assert_eq!(upgraded.write(2, Vec::new()).unwrap(), before);
        let (metric, upgraded) = (device.metrics.get_mut("temperature").unwrap(), upgraded.metrics.get_mut("temperature").unwrap());
        assert_eq!(upgraded.lifecycle.open().unwrap().started_at_micros, 4_000 * MINUTE);
        let observe = |metric: &mut Metric| metric.memory.observe(4_000 * MINUTE, 5.0).unwrap();
        assert_eq!(observe(upgraded), observe(metric));
    }
}
