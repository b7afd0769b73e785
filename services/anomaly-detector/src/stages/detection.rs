//! What a reading does to what is kept of its device: the one path of the service, of `explain` and of `model compare`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use events::{Arrival, Reading, SeenReadings, Timestamp};
use serde::{Deserialize, Serialize};
use stream::operator::{State, StateUnreadable};
use stream::{Failure, Poison};
use telemetry::metrics::{Histogram, histogram};

use super::about::About;
use super::format_2;
use crate::adapters::{Contribution, Manifest, Scorer};
use crate::domain::calibration::{Judgement, MOST_SIGNALS};
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
    pub(super) scored_by: [u8; 8],
    pub metrics: BTreeMap<String, Metric>,
    /// What the batch step made of the reading that is worked on next.
    #[serde(skip)]
    pub(super) prepared: Option<(Looked, f32)>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Metric {
    pub(super) seen: SeenReadings,
    pub(super) memory: Memory,
    pub lifecycle: Lifecycle,
    pub(crate) last_value: f64,
    /// The model that opened what is open: the anomaly's id is made of its name.
    pub(crate) opened_by: Option<events::Model>,
}

impl Device {
    /// Known names are not copied: this is the way of every reading.
    fn metric(&mut self, name: &str) -> &mut Metric {
        if !self.metrics.contains_key(name) {
            self.metrics.insert(name.to_owned(), Metric::default());
        }
        self.metrics.get_mut(name).unwrap_or_else(|| unreachable!("it was put there"))
    }
}

impl State for Device {
    const FORMAT: u8 = 3;
    const PREVIOUS: u8 = 2;

    fn read(format: u8, bytes: &[u8]) -> Result<Self, StateUnreadable> {
        match format {
            2 => Ok(postcard::from_bytes::<format_2::Device>(bytes)?.into()),
            3 => Ok(postcard::from_bytes(bytes)?),
            found => Err(StateUnreadable::OtherFormat { found, known: Self::FORMAT }),
        }
    }

    fn write(&self, format: u8, bytes: Vec<u8>) -> Result<Vec<u8>, StateUnreadable> {
        match format {
            2 => Ok(postcard::to_extend(&format_2::Device::from(self), bytes)?),
            3 => Ok(postcard::to_extend(self, bytes)?),
            found => Err(StateUnreadable::OtherFormat { found, known: Self::FORMAT }),
        }
    }

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

/// A reading before the network has had its word.
#[derive(Clone, Copy, Debug)]
pub(super) enum Looked {
    /// It ends here.
    Judged(Judged),
    Observed(Observation),
}

impl Looked {
    fn row(&self) -> Option<Row> {
        match self {
            Self::Observed(observation) if observation.ready => Some(observation.row),
            Self::Observed(_) | Self::Judged(_) => None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Scored {
    pub observation: Observation,
    pub logit: f32,
    pub score: f32,
    /// How it came to the score; none during warm-up.
    pub judgement: Option<Judgement>,
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
        self.manifest.model()
    }

    pub fn thresholds(&self, device_id: &str, metric: &str) -> Thresholds {
        self.sensitivity.of(device_id, metric)
    }

    /// Looks at readings of different devices and asks the network once; [`judge`](Self::judge) then takes each. Poison is
    /// left to it.
    pub(crate) fn prepare(&self, batch: &mut [(&Reading, Device)]) -> Result<(), Failure> {
        let mut rows = Vec::with_capacity(batch.len());
        for (reading, device) in &mut *batch {
            device.prepared = self.look(reading, device).ok().map(|looked| (looked, 0.0));
            rows.extend(device.prepared.and_then(|(looked, _)| looked.row()));
        }
        let mut logits = self.logits(&rows)?.into_iter();
        for (_, device) in batch {
            if let Some((looked, logit)) = &mut device.prepared
                && looked.row().is_some()
            {
                *logit = logits.next().unwrap_or_default();
            }
        }
        Ok(())
    }

    /// Scores a reading in the light of those before it. Poison leaves the device as it was.
    pub fn judge(&self, reading: &Reading, device: &mut Device) -> Result<Judged, Failure> {
        let (looked, logit) = if let Some(prepared) = device.prepared.take() {
            prepared
        } else {
            let looked = self.look(reading, device)?;
            let logits = self.logits(looked.row().as_slice())?;
            (looked, logits.first().copied().unwrap_or_default())
        };
        match looked {
            Looked::Judged(judged) => Ok(judged),
            Looked::Observed(observation) => Ok(Judged::Scored(self.conclude(reading, device, &observation, logit))),
        }
    }

    fn look(&self, reading: &Reading, device: &mut Device) -> Result<Looked, Failure> {
        if !reading.value.is_finite() {
            return Err(Poison::new("not_finite", format!("{} is {}", reading.metric, reading.value)).into());
        }
        if !reading.is_fresh() {
            return Ok(Looked::Judged(Judged::Retained));
        }
        self.take_over(device);
        device.last_received = device.last_received.max(reading.received_at);
        device.about.follow(reading);
        let metric = device.metric(&reading.metric);
        match metric.seen.arrive(reading) {
            Arrival::New => {}
            Arrival::Duplicate => return Ok(Looked::Judged(Judged::Duplicate)),
            Arrival::Late => return Ok(Looked::Judged(Judged::Late)),
        }
        let at = reading.measured_at.as_micros();
        let observed = metric.memory.observe(at, reading.value);
        Ok(Looked::Observed(observed.map_err(|_| Poison::new("not_finite", reading.metric.clone()))?))
    }

    fn conclude(&self, reading: &Reading, device: &mut Device, observation: &Observation, logit: f32) -> Scored {
        let metric = device.metric(&reading.metric);
        let judgement = metric.memory.judge(observation, logit, &self.manifest.calibration);
        let score = judgement.map_or(0.0, |judgement| judgement.score);
        let thresholds = self.sensitivity.of(&reading.device_id, &reading.metric);
        let transition = metric.lifecycle.on_score(reading.measured_at.as_micros(), score, &thresholds);
        metric.last_value = reading.value;
        Scored { observation: *observation, logit, score, judgement, thresholds, transition }
    }

    /// A device another model scored until now: what its usual logits are is learned anew.
    fn take_over(&self, device: &mut Device) {
        if device.scored_by != self.digest {
            device.scored_by = self.digest;
            device.metrics.values_mut().for_each(|metric| metric.memory.forget_calibration());
        }
    }

    fn logits(&self, rows: &[Row]) -> Result<Vec<f32>, Failure> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let started = std::time::Instant::now();
        let logits = self.scorer.lock().unwrap_or_else(PoisonError::into_inner).logits(rows).map_err(Failure::fatal)?;
        self.inference.observe(started.elapsed().as_secs_f64());
        Ok(logits)
    }

    /// What spoke for a score, the strongest first.
    pub fn contributions(&self, scored: &Scored) -> Result<Vec<Contribution>, Failure> {
        let signals = scored.judgement.map_or([0.0; MOST_SIGNALS], |judgement| judgement.signals);
        let mut network = self.scorer.lock().unwrap_or_else(PoisonError::into_inner);
        network.contributions(&scored.observation.row, &signals).map_err(Failure::fatal)
    }
}
