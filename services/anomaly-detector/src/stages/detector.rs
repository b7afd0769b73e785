//! The detector: one memory and one lifecycle per device and metric, readings in, anomalies out.

use std::time::Duration;

use events::{Anomaly, Contribution, DeviceState, DeviceStatus, Labels, Model, Reading, Timestamp};
use stream::Failure;
use stream::operator::{Operator, Outputs};
use telemetry::metrics::{Counter, counter};

use super::about::{About, anomaly};
use super::detection::{Detection, Device, Judged, Metric, Scored};
use crate::DEFINITION;
use crate::domain::lifecycle::Transition;

/// Label of an anomaly that ended for another reason than its scores.
const LABEL_REASON: &str = "reason";

pub struct DetectorOperator {
    detection: Detection,
    forget_after: Duration,
    duplicates: Counter,
    late: Counter,
}

impl DetectorOperator {
    /// A device silent for `forget_after` is forgotten, and what is open of it closed.
    pub fn new(detection: Detection, forget_after: Duration) -> Self {
        let stage = [("stage", DEFINITION.name)];
        let (duplicates, late) = (counter("fieldwatch_duplicate_readings", &stage), counter("fieldwatch_late_readings", &stage));
        Self { detection, forget_after, duplicates, late }
    }

    /// The model that scores.
    pub fn model(&self) -> Model {
        self.detection.model()
    }

    fn anomaly(&self, about: &About, reading: &Reading, scored: &Scored, transition: Transition, model: Model) -> Result<Anomaly, Failure> {
        let Scored { observation, score, thresholds, .. } = scored;
        let contributions = match transition {
            Transition::Opened(_) => self.detection.contributions(scored)?,
            Transition::Closed(_) => Vec::new(),
        };
        Ok(Anomaly {
            score: f64::from(*score),
            threshold: f64::from(thresholds.open_above),
            value: reading.value,
            expected: Some(observation.expected),
            band_low: Some(observation.band_low),
            band_high: Some(observation.band_high),
            confidence: f64::from(*score),
            contributions: contributions
                .iter()
                .map(|spoke| Contribution { feature: spoke.feature.to_owned(), share: f64::from(spoke.share) })
                .collect(),
            ..anomaly(about, &reading.metric, transition, model, reading.measured_at)
        })
    }

    /// Forgets a device; what is open of it ends.
    fn forget(&self, device: &mut Device, at: Timestamp, reason: &str, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        let about = std::mem::take(&mut device.about);
        for (name, mut metric) in std::mem::take(&mut device.metrics) {
            if let Some(anomaly) = self.ended(&about, &name, &mut metric, at, reason) {
                outputs.emit(&anomaly)?;
            }
        }
        Ok(())
    }

    fn ended(&self, about: &About, name: &str, metric: &mut Metric, at: Timestamp, reason: &str) -> Option<Anomaly> {
        let transition = metric.lifecycle.close(at.as_micros())?;
        let model = metric.opened_by.take().unwrap_or_else(|| self.detection.model());
        Some(Anomaly {
            threshold: f64::from(self.detection.thresholds(&about.device_id, name).open_above),
            value: metric.last_value,
            labels: Labels::from([(LABEL_REASON.to_owned(), reason.to_owned())]),
            ..anomaly(about, name, transition, model, at)
        })
    }
}

impl Operator for DetectorOperator {
    type Event = Reading;
    type Notice = DeviceStatus;
    type State = Device;

    const STAGE: &'static str = DEFINITION.name;
    const BATCH: usize = 64;

    fn received_at(&self, reading: &Reading) -> Timestamp {
        reading.received_at
    }

    fn prepare(&self, batch: &mut [(&Reading, Device)]) -> Result<(), Failure> {
        self.detection.prepare(batch)
    }

    fn on_event(&self, _key: &str, reading: &Reading, device: &mut Device, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        let scored = match self.detection.judge(reading, device)? {
            Judged::Scored(scored) => scored,
            passed_over => {
                match passed_over {
                    Judged::Duplicate => _ = self.duplicates.inc(),
                    Judged::Late => _ = self.late.inc(),
                    Judged::Retained | Judged::Scored(_) => {}
                }
                return Ok(());
            }
        };
        let (Some(transition), Some(metric)) = (scored.transition, device.metrics.get_mut(&reading.metric)) else { return Ok(()) };
        let model = match transition {
            Transition::Opened(_) => metric.opened_by.insert(self.detection.model()).clone(),
            Transition::Closed(_) => metric.opened_by.take().unwrap_or_else(|| self.detection.model()),
        };
        outputs.emit(&self.anomaly(&device.about, reading, &scored, transition, model)?)
    }

    fn due(&self, device: &Device) -> Option<Timestamp> {
        (!device.metrics.is_empty()).then(|| device.last_received.saturating_add(self.forget_after))
    }

    fn on_time(&self, _key: &str, now: Timestamp, device: &mut Device, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        self.forget(device, now, "device_silent", outputs)
    }

    fn on_notice(&self, _key: &str, status: &DeviceStatus, device: &mut Device, outputs: &mut Outputs<'_>) -> Result<bool, Failure> {
        if status.state != DeviceState::Retired {
            return Ok(false);
        }
        self.forget(device, status.changed_at, "device_retired", outputs).map(|()| true)
    }
}
