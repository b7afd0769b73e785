//! The detector as an operator of the stream runtime: one memory and one lifecycle per device and metric.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use events::{Anomaly, AnomalyState, Arrival, Contribution, Labels, Model, Reading, SeenReadings, Timestamp, identity};
use serde::{Deserialize, Serialize};
use stream::operator::{Operator, Outputs, State};
use stream::{Failure, Poison};
use telemetry::metrics::{Counter, Histogram, counter, histogram};

use crate::DEFINITION;
use crate::adapters::{Manifest, Scorer};
use crate::domain::detector::Memory;
use crate::domain::features::Observation;
use crate::domain::lifecycle::{Excursion, Lifecycle, Thresholds, Transition};

/// What is kept of a device.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Device {
    metrics: BTreeMap<String, Metric>,
}

#[derive(Default, Serialize, Deserialize)]
struct Metric {
    seen: SeenReadings,
    memory: Memory,
    lifecycle: Lifecycle,
}

impl State for Device {
    const FORMAT: u8 = 1;
}

pub(crate) struct DetectorOperator {
    /// A session runs one batch at a time; workers take turns.
    scorer: Mutex<Scorer>,
    manifest: Manifest,
    thresholds: Thresholds,
    meters: Meters,
}

struct Meters {
    duplicates: Counter,
    late: Counter,
    inference: Histogram,
}

impl DetectorOperator {
    pub(crate) fn new(scorer: Scorer, thresholds: Thresholds) -> Self {
        let (stage, manifest) = ([("stage", DEFINITION.name)], scorer.manifest().clone());
        let meters = Meters {
            duplicates: counter("fieldwatch_duplicate_readings", &stage),
            late: counter("fieldwatch_late_readings", &stage),
            inference: histogram("fieldwatch_inference_seconds", &[("model", &manifest.name)]),
        };
        Self { scorer: Mutex::new(scorer), manifest, thresholds, meters }
    }

    fn logit(&self, observation: &Observation) -> Result<f32, Failure> {
        if !observation.ready {
            return Ok(0.0);
        }
        let started = std::time::Instant::now();
        let logits = self.scorer.lock().unwrap_or_else(PoisonError::into_inner).logits(&[observation.row]).map_err(Failure::fatal)?;
        self.meters.inference.observe(started.elapsed().as_secs_f64());
        Ok(logits.first().copied().unwrap_or_default())
    }

    fn anomaly(&self, reading: &Reading, observation: &Observation, transition: Transition, score: f64) -> Result<Anomaly, Failure> {
        let (state, Excursion { started_at_micros, .. }) = match transition {
            Transition::Opened(excursion) => (AnomalyState::Opened, excursion),
            Transition::Closed(excursion) => (AnomalyState::Closed, excursion),
        };
        let contributions = match state {
            AnomalyState::Opened => {
                self.scorer.lock().unwrap_or_else(PoisonError::into_inner).contributions(&observation.row).map_err(Failure::fatal)?
            }
            _ => Vec::new(),
        };
        let Reading { tenant, device_id, group_id, metric, value, measured_at, .. } = reading;
        let started_at = Timestamp::from_micros(started_at_micros);
        Ok(Anomaly {
            tenant: tenant.clone(),
            anomaly_id: identity::excursion_id("anomaly", tenant, &self.manifest.name, device_id, metric, started_at).to_string(),
            device_id: device_id.clone(),
            group_id: group_id.clone(),
            metric: metric.clone(),
            state,
            score,
            threshold: f64::from(self.thresholds.open_above),
            value: *value,
            expected: Some(observation.expected),
            band_low: Some(observation.band_low),
            band_high: Some(observation.band_high),
            confidence: score,
            started_at,
            changed_at: *measured_at,
            model: Model { name: self.manifest.name.clone(), version: self.manifest.version.clone(), sha256: self.manifest.sha256.clone() },
            contributions: contributions
                .iter()
                .map(|spoke| Contribution { feature: spoke.feature.to_owned(), share: f64::from(spoke.share) })
                .collect(),
            labels: Labels::new(),
        })
    }
}

impl Operator for DetectorOperator {
    type Event = Reading;
    type State = Device;

    const STAGE: &'static str = DEFINITION.name;

    fn received_at(&self, reading: &Reading) -> Timestamp {
        reading.received_at
    }

    fn on_event(&self, _key: &str, reading: &Reading, device: &mut Device, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        if !reading.value.is_finite() {
            return Err(Poison::new("not_finite", format!("{} is {}", reading.metric, reading.value)).into());
        }
        if !reading.is_fresh() {
            return Ok(());
        }
        let metric = device.metrics.entry(reading.metric.clone()).or_default();
        match metric.seen.arrive(reading) {
            Arrival::New => {}
            Arrival::Duplicate => {
                self.meters.duplicates.inc();
                return Ok(());
            }
            Arrival::Late => {
                self.meters.late.inc();
                return Ok(());
            }
        }
        let at = reading.measured_at.as_micros();
        let observation = metric.memory.observe(at, reading.value).map_err(|_| Poison::new("not_finite", reading.metric.clone()))?;
        let logit = self.logit(&observation)?;
        let score = metric.memory.score(&observation, logit, &self.manifest.calibration);
        match metric.lifecycle.on_score(at, score, &self.thresholds) {
            Some(transition) => outputs.emit(&self.anomaly(reading, &observation, transition, f64::from(score))?),
            None => Ok(()),
        }
    }
}
