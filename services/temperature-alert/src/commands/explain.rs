//! Why a device's alerts are in the state they are.
//!
//! The device's last snapshot, then its partition's log from there to its end, under the rules of this configuration.

use std::fmt::Write as _;
use std::sync::Arc;

use events::{DeviceKey, Event as _, Reading, TemperatureAlert, Timestamp, topics};
use stream::Registry;
use stream::decode::decode;
use stream::operator::{LastSnapshot, last_snapshot};
use stream::tail::{From, ToEnd};

use super::CLIENT;
use crate::domain::excursion::{Excursion, Phase, Sample};
use crate::domain::rules::{Rule, Settings, Side};
use crate::domain::{Device, Simulation, Span};
use crate::{Config, DEFINITION};

pub(super) async fn explain(config: &Config, device: &DeviceKey) -> anyhow::Result<String> {
    let (kafka, key) = (&config.kafka, device.to_kafka_key());
    let rules = Arc::new(config.rules.load().map_err(anyhow::Error::msg)?);
    let registry = Registry::connect(&config.registry)?;

    let snapshot = last_snapshot::<Device>(kafka, CLIENT, DEFINITION.name, &key).await?;
    let mut simulation = Simulation::new(rules);
    let mut text = String::new();
    let readings = kafka.prefixed(topics::READINGS);
    let (from, next_offset) = if let Some(LastSnapshot { partition, state, next_offset }) = snapshot {
        writeln!(text, "{key}: snapshot of partition {partition} at offset {next_offset}")?;
        simulation.restore(&key, state, Timestamp::MIN);
        (From::only(kafka, CLIENT, &readings, partition, next_offset)?, next_offset)
    } else {
        writeln!(text, "{key}: no snapshot; the whole log is read")?;
        (From::Beginning, 0)
    };

    // Of other devices only their time matters, and only in the same partition.
    let mut own = Vec::new();
    let mut partition_of_device = None;
    let mut times: Vec<(i32, Timestamp)> = Vec::new();
    let mut log = ToEnd::open(kafka, CLIENT, &readings, &from)?;
    while let Some(record) = log.next().await? {
        let Some(value) = record.value.as_deref() else { continue };
        let Ok(reading) = decode::<Reading>(&registry, value).await else { continue };
        let partition = record.position.partition;
        times.push((partition, reading.received_at));
        if reading.key() == key {
            partition_of_device = Some(partition);
            own.push((times.len() - 1, reading));
        }
    }
    let mut own = own.into_iter().peekable();
    let mut taken = 0;
    for (number, (partition, received_at)) in times.into_iter().enumerate() {
        if let Some((_, reading)) = own.next_if(|(place, _)| *place == number) {
            simulation.take(&reading);
            taken += 1;
        } else if next_offset > 0 || partition_of_device == Some(partition) {
            simulation.advance(received_at);
        }
    }
    writeln!(text, "{taken} readings of it since then, up to {}", time(simulation.time()))?;
    for TemperatureAlert { changed_at, state, severity, reason, rule_id, summary, .. } in simulation.alerts() {
        writeln!(text, "  {} {rule_id} {state:?} {severity:?} ({reason:?}): {summary}", time(changed_at))?;
    }
    match simulation.device(&key) {
        None => writeln!(text, "nothing is known of this device")?,
        Some(device) => describe(device, &simulation, &mut text)?,
    }
    Ok(text)
}

fn describe(device: &Device, simulation: &Simulation, text: &mut String) -> std::fmt::Result {
    for metric in &device.metrics {
        write!(text, "{}", metric.name)?;
        match metric.last {
            Some((Sample { at, value }, received_at)) => {
                writeln!(text, ": {value} at {}, received {}", time(at), time(received_at))?;
            }
            None => writeln!(text, ": no reading since the snapshot of an earlier release")?,
        }
        let mut judged = false;
        for (rule, settings, excursion) in metric.judged(simulation.rules()) {
            judged = true;
            writeln!(text, "  {} ({}): {}", rule.id, condition(settings), state(rule, settings, excursion))?;
        }
        if !judged {
            writeln!(text, "  no rule selects it")?;
        }
    }
    Ok(())
}

fn condition(settings: &Settings) -> String {
    let word = match settings.side {
        Side::Above => "above",
        Side::Below => "below",
    };
    let step = settings.steps[0];
    let over = settings.change_over.map_or_else(String::new, |window| format!("change over {} ", Span(window)));
    format!("{over}{word} {}, clear {}", step.threshold, step.clear)
}

fn state(rule: &Rule, settings: &Settings, excursion: Option<&Excursion>) -> String {
    let Some(excursion) = excursion else { return "normal".into() };
    let mut line = match excursion.phase {
        Phase::Normal => "normal, with recent crossings remembered".to_owned(),
        Phase::Pending { since } => {
            let ready = since.at.saturating_add(settings.wait);
            let mut line = format!("pending since {} ({}): fires on a reading at or after {}", time(since.at), since.value, time(ready));
            if rule.schedule.is_some() {
                line += ", inside its schedule";
            }
            if let Some(most) = rule.max_active {
                line.extend([", while fewer than ", &most.to_string(), " alerts of the rule are active in its partition"]);
            }
            line
        }
        Phase::Firing => format!("firing until a reading at the clear threshold {}", settings.steps[0].clear),
        Phase::Recovering { since } => {
            let wait = if excursion.alert.as_ref().is_some_and(|open| open.flapping) {
                settings.flapping.map_or(settings.keep_firing, |flapping| flapping.calm.max(settings.keep_firing))
            } else {
                settings.keep_firing
            };
            format!("recovering since {}: resolves on a reading at or after {}", time(since.at), time(since.at.saturating_add(wait)))
        }
        Phase::Silent => "no data: the next reading decides".to_owned(),
    };
    if let Some(open) = &excursion.alert {
        let flapping = if open.flapping { ", flapping" } else { "" };
        let (since, severity) = (time(open.started_at), crate::domain::severity_name(open.severity));
        line.extend(["; open alert since ", &since, ", ", severity, flapping]);
    }
    line
}

fn time(at: Timestamp) -> String {
    if at == Timestamp::MIN { "the beginning".into() } else { at.to_string() }
}
