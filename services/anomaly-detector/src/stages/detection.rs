//! What a reading does to what is kept of its device: the one path of the service, of `explain` and of `model compare`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use events::{Arrival, Reading, SeenReadings, Timestamp};
use serde::{Deserialize, Serialize};
use stream::operator::State;
use stream::{Failure, Poison};
use telemetry::metrics::{Histogram, histogram};

use super::about::About;
use crate::adapters::{Contribution, Manifest, Scorer};
use crate::domain::detector::Memory;
use crate::domain::features::{Observation, Row};
use crate::domain::lifecycle::{Lifecycle, Thresholds, Transition};
use crate::domain::sensitivity::Sensitivity;

/// What is kept of a device.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Device {
    pub(crate) about: About,
    pub(crate) last_received: Timestamp,
    /// First bytes of the digest of the model that scored last.
    scored_by: [u8; 8],
    pub metrics: BTreeMap<String, Metric>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Metric {
    seen: SeenReadings,
    memory: Memory,
    pub lifecycle: Lifecycle,
    pub(crate) last_value: f64,
    /// The model that opened what is open: the anomaly's id is made of its name.
    pub(crate) opened_by: Option<events::Model>,
}

impl State for Device {
    const FORMAT: u8 = 1;

    fn is_idle(&self) -> bool {
        self.metrics.is_empty()
    }
}

/// A model with its thresholds.
pub struct Detection {
    /// A session runs one batch at a time; workers take turns.
    scorer: Mutex<Scorer>,
    manifest: Manifest,
    digest: [u8; 8],
    sensitivity: Sensitivity,
    inference: Histogram,
}

/// What came of a reading.
#[expect(clippy::large_enum_variant, reason = "nothing is allocated for a reading")]
#[derive(Clone, Copy, Debug)]
pub enum Judged {
    /// Kept by the broker from earlier: ignored.
    Retained,
    Duplicate,
    Late,
    Scored(Scored),
}

#[derive(Clone, Copy, Debug)]
pub struct Scored {
    pub observation: Observation,
    pub logit: f32,
    /// The logit that would have scored 0.8.
    pub open_logit: f32,
    pub score: f32,
    pub thresholds: Thresholds,
    pub transition: Option<Transition>,
}

impl Detection {
    pub fn new(scorer: Scorer, sensitivity: Sensitivity) -> Self {
        let manifest = scorer.manifest().clone();
        let digest = std::array::from_fn(|i| manifest.sha256.as_bytes().get(i).copied().unwrap_or_default());
        let inference = histogram("fieldwatch_inference_seconds", &[("model", &manifest.name)]);
        Self { scorer: Mutex::new(scorer), manifest, digest, sensitivity, inference }
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(crate) fn model(&self) -> events::Model {
        let Manifest { name, version, sha256, .. } = &self.manifest;
        events::Model { name: name.clone(), version: version.clone(), sha256: sha256.clone() }
    }

    pub fn thresholds(&self, device_id: &str, metric: &str) -> Thresholds {
        self.sensitivity.of(device_id, metric)
    }

    /// Scores a reading in the light of those before it. Poison leaves the device as it was.
    pub fn judge(&self, reading: &Reading, device: &mut Device) -> Result<Judged, Failure> {
        if !reading.value.is_finite() {
            return Err(Poison::new("not_finite", format!("{} is {}", reading.metric, reading.value)).into());
        }
        if !reading.is_fresh() {
            return Ok(Judged::Retained);
        }
        self.take_over(device);
        device.last_received = device.last_received.max(reading.received_at);
        device.about.follow(reading);
        // Known names are not copied: this is the way of every reading.
        let metric = match device.metrics.get_mut(&reading.metric) {
            Some(metric) => metric,
            None => device.metrics.entry(reading.metric.clone()).or_default(),
        };
        match metric.seen.arrive(reading) {
            Arrival::New => {}
            Arrival::Duplicate => return Ok(Judged::Duplicate),
            Arrival::Late => return Ok(Judged::Late),
        }
        let at = reading.measured_at.as_micros();
        let observation = metric.memory.observe(at, reading.value).map_err(|_| Poison::new("not_finite", reading.metric.clone()))?;
        let logit = if observation.ready { self.logit(&observation.row)? } else { 0.0 };
        let open_logit = metric.memory.open_logit(&observation, &self.manifest.calibration);
        let score = metric.memory.score(&observation, logit, &self.manifest.calibration);
        let thresholds = self.sensitivity.of(&reading.device_id, &reading.metric);
        let transition = metric.lifecycle.on_score(at, score, &thresholds);
        metric.last_value = reading.value;
        Ok(Judged::Scored(Scored { observation, logit, open_logit, score, thresholds, transition }))
    }

    /// A device another model scored until now: what its usual logits are is learned anew.
    fn take_over(&self, device: &mut Device) {
        if device.scored_by != self.digest {
            device.scored_by = self.digest;
            device.metrics.values_mut().for_each(|metric| metric.memory.forget_calibration());
        }
    }

    fn logit(&self, row: &Row) -> Result<f32, Failure> {
        let started = std::time::Instant::now();
        let logits = self.scorer.lock().unwrap_or_else(PoisonError::into_inner).logits(&[*row]).map_err(Failure::fatal)?;
        self.inference.observe(started.elapsed().as_secs_f64());
        Ok(logits.first().copied().unwrap_or_default())
    }

    /// What spoke for a row, the strongest first.
    pub fn contributions(&self, row: &Row) -> Result<Vec<Contribution>, Failure> {
        self.scorer.lock().unwrap_or_else(PoisonError::into_inner).contributions(row).map_err(Failure::fatal)
    }
}
