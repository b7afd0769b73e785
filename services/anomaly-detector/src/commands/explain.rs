//! What a device's recent scores were made of.
//!
//! The device's last snapshot, then its readings from there to the end of the log, by the code and the model that serve.
//! What a snapshot holds cannot be taken apart again: with `whole_log` the snapshot is left out, and what the log no
//! longer holds is unknown to the scores.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

use events::{Anomaly, DeviceKey, Event as _, Reading, Timestamp, topics};
use stream::decode::decode;
use stream::operator::{LastSnapshot, last_snapshot};
use stream::tail::{From, ToEnd};
use stream::{Failure, KafkaConfig, Registry};

use super::CLIENT;
use crate::adapters::Contribution;
use crate::domain::lifecycle::Transition;
use crate::stages::{Detection, Device, Judged, Scored};
use crate::{Config, DEFINITION};

/// What was announced is shown for so many anomalies.
const ANNOUNCED: usize = 10;

pub struct Wanted {
    pub device: DeviceKey,
    /// Scores shown of each metric, the newest last.
    pub scores: usize,
    pub whole_log: bool,
}

#[derive(Default)]
struct Replay {
    device: Device,
    taken: u64,
    repeats: u64,
    late: u64,
    recent: BTreeMap<String, VecDeque<(Timestamp, f64, Scored)>>,
}

pub async fn explain(config: &Config, detection: &Detection, wanted: &Wanted) -> anyhow::Result<String> {
    let (kafka, key) = (&config.kafka, wanted.device.to_kafka_key());
    let registry = Registry::connect(&config.registry)?;
    let mut text = String::new();
    let snapshot = if wanted.whole_log { None } else { last_snapshot::<Device>(kafka, CLIENT, DEFINITION.name, &key).await? };
    let readings = kafka.prefixed(topics::READINGS);
    let mut replay = Replay::default();
    let from = match snapshot {
        Some(LastSnapshot { partition, state, next_offset }) => {
            writeln!(text, "{key}: snapshot of partition {partition} at offset {next_offset}")?;
            replay.device = state;
            From::only(kafka, CLIENT, &readings, partition, next_offset)?
        }
        None if wanted.whole_log => {
            writeln!(text, "{key}: the whole log, without a snapshot")?;
            From::Beginning
        }
        None => {
            writeln!(text, "{key}: no snapshot; the whole log is read")?;
            From::Beginning
        }
    };
    let mut log = ToEnd::open(kafka, CLIENT, &readings, &from)?;
    while let Some(record) = log.next().await? {
        let Some(value) = record.value.as_deref() else { continue };
        match decode::<Reading>(&registry, value).await {
            Ok(reading) if reading.key() == key => replay.take(detection, &reading, wanted.scores)?,
            Ok(_) | Err(Failure::Poison(_)) => {}
            Err(failure) => return Err(failure.into()),
        }
    }
    replay.describe(detection, &wanted.device, &mut text)?;
    describe_announced(&announced(kafka, &registry, &key).await?, &mut text)?;
    Ok(text)
}

async fn announced(kafka: &KafkaConfig, registry: &Registry, key: &str) -> Result<VecDeque<Anomaly>, Failure> {
    let mut announced = VecDeque::new();
    let mut log = ToEnd::open(kafka, CLIENT, &kafka.prefixed(topics::ANOMALIES), &From::Beginning)?;
    while let Some(record) = log.next().await? {
        let Some(value) = record.value.as_deref().filter(|_| record.key.as_deref() == Some(key.as_bytes())) else { continue };
        announced.push_back(decode::<Anomaly>(registry, value).await?);
        if announced.len() > ANNOUNCED {
            announced.pop_front();
        }
    }
    Ok(announced)
}

impl Replay {
    fn take(&mut self, detection: &Detection, reading: &Reading, keep: usize) -> Result<(), Failure> {
        let scored = match detection.judge(reading, &mut self.device) {
            Ok(Judged::Scored(scored)) => scored,
            Ok(passed_over) => {
                self.repeats += u64::from(matches!(passed_over, Judged::Duplicate));
                self.late += u64::from(matches!(passed_over, Judged::Late));
                return Ok(());
            }
            Err(Failure::Poison(_)) => return Ok(()),
            Err(failure) => return Err(failure),
        };
        self.taken += 1;
        let recent = self.recent.entry(reading.metric.clone()).or_default();
        recent.push_back((reading.measured_at, reading.value, scored));
        if recent.len() > keep {
            recent.pop_front();
        }
        Ok(())
    }

    fn describe(&self, detection: &Detection, key: &DeviceKey, text: &mut String) -> anyhow::Result<()> {
        writeln!(text, "{} readings scored since then, {} repeated, {} late", self.taken, self.repeats, self.late)?;
        if self.device.metrics.is_empty() {
            writeln!(text, "nothing is known of this device")?;
        }
        for (name, metric) in &self.device.metrics {
            let thresholds = detection.thresholds(&key.device_id, name);
            match metric.lifecycle.open() {
                Some(open) => {
                    let since = Timestamp::from_micros(open.started_at_micros);
                    writeln!(text, "{name}: an anomaly is open since {since}, its highest score {:.3}", open.peak_score)?;
                }
                None => writeln!(text, "{name}: no anomaly is open")?,
            }
            write!(
                text,
                "  opens above {}, closes after {} at or below {}",
                thresholds.open_above, thresholds.close_after, thresholds.close_below
            )?;
            let recent = self.recent.get(name);
            writeln!(text, "{}", if recent.is_none() { "; no reading since the snapshot" } else { "" })?;
            for (at, value, scored) in recent.into_iter().flatten() {
                describe_score(detection, *at, *value, scored, text)?;
            }
        }
        Ok(())
    }
}

fn describe_score(detection: &Detection, at: Timestamp, value: f64, scored: &Scored, text: &mut String) -> anyhow::Result<()> {
    let Scored { observation, logit, score, transition, .. } = scored;
    let Some(judgement) = scored.judgement else {
        writeln!(text, "  {at} {value}: still learning what is usual")?;
        return Ok(());
    };
    let spoke = detection.contributions(scored)?;
    let spoke: Vec<String> =
        spoke.iter().take(4).map(|Contribution { feature, share }| format!("{feature} {:.0} %", share * 100.0)).collect();
    let change = match transition {
        Some(Transition::Opened(_)) => " OPENED",
        Some(Transition::Closed(_)) => " CLOSED",
        None => "",
    };
    let (expected, low, high) = (observation.expected, observation.band_low, observation.band_high);
    writeln!(
        text,
        "  {at} {value} (expected {expected:.3}, {low:.3} to {high:.3}): score {score:.3}, logit {logit:.2}, {:.2} % of its own as high{change}; {}",
        judgement.as_high * 100.0,
        spoke.join(", ")
    )?;
    Ok(())
}

fn describe_announced(announced: &VecDeque<Anomaly>, text: &mut String) -> std::fmt::Result {
    if !announced.is_empty() {
        writeln!(text, "announced:")?;
    }
    for Anomaly { changed_at, metric, state, score, value, model, contributions, .. } in announced {
        let spoke: Vec<String> = contributions.iter().take(4).map(|c| format!("{} {:.0} %", c.feature, c.share * 100.0)).collect();
        writeln!(
            text,
            "  {changed_at} {metric} {state:?} {value} score {score:.3} by {} {}; {}",
            model.name,
            model.version,
            spoke.join(", ")
        )?;
    }
    Ok(())
}
