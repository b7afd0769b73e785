//! What other rules would have fired on the log, beside what was fired.
//!
//! An alert is told by (rule, device, metric, start). What was open before the log's begin is not in the comparison, and
//! what the log lacks of it is unknown to the rules too.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use events::{AlertState, Reading, TemperatureAlert, Timestamp, topics};
use stream::Registry;
use stream::decode::decode;
use stream::tail::{From, ToEnd};

use super::CLIENT;
use crate::Config;
use crate::domain::{Rules, Simulation};

/// Differences shown of each rule.
const SHOWN: usize = 20;

/// Device with its tenant, metric, start.
type Alert = (String, String, Timestamp);

#[derive(Default)]
struct Compared {
    would: BTreeSet<Alert>,
    did: BTreeSet<Alert>,
}

pub(super) async fn backtest(config: &Config, rules: Rules, since: Duration) -> anyhow::Result<String> {
    let registry = Registry::connect(&config.registry)?;
    let begin = Timestamp::from(SystemTime::now()).saturating_sub(since);
    let from = From::Time(begin.as_millis());
    let rules = Arc::new(rules);

    let mut partitions: BTreeMap<i32, Simulation> = BTreeMap::new();
    let mut compared: BTreeMap<String, Compared> = BTreeMap::new();
    let (mut readings, mut unreadable) = (0_u64, 0_u64);
    let mut log = ToEnd::open(&config.kafka, CLIENT, &config.kafka.prefixed(topics::READINGS), &from)?;
    while let Some(record) = log.next().await? {
        let Some(value) = record.value.as_deref() else { continue };
        let Ok(reading) = decode::<Reading>(&registry, value).await else {
            unreadable += 1;
            continue;
        };
        readings += 1;
        partitions.entry(record.position.partition).or_insert_with(|| Simulation::new(Arc::clone(&rules))).take(&reading);
    }
    for alert in partitions.values_mut().flat_map(Simulation::alerts).filter(begins) {
        compared.entry(alert.rule_id.clone()).or_default().would.insert(identity(&alert));
    }
    let mut log = ToEnd::open(&config.kafka, CLIENT, &config.kafka.prefixed(topics::TEMPERATURE_ALERTS), &from)?;
    while let Some(record) = log.next().await? {
        let Some(value) = record.value.as_deref() else { continue };
        let Ok(alert) = decode::<TemperatureAlert>(&registry, value).await else { continue };
        if begins(&alert) && alert.started_at >= begin {
            compared.entry(alert.rule_id.clone()).or_default().did.insert(identity(&alert));
        }
    }
    Ok(report(begin, readings, unreadable, &compared)?)
}

fn begins(alert: &TemperatureAlert) -> bool {
    matches!(alert.state, AlertState::Firing | AlertState::NoData)
}

fn identity(alert: &TemperatureAlert) -> Alert {
    (events::Event::key(alert), alert.metric.clone(), alert.started_at)
}

fn report(begin: Timestamp, readings: u64, unreadable: u64, compared: &BTreeMap<String, Compared>) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    writeln!(text, "{readings} readings since {begin}; {unreadable} could not be read")?;
    writeln!(text, "{:<32} {:>10} {:>10} {:>10} {:>10} {:>10}", "rule", "would fire", "did fire", "same", "only new", "only old")?;
    for (rule, Compared { would, did }) in compared {
        let same = would.intersection(did).count();
        let (new, old) = (would.len() - same, did.len() - same);
        writeln!(text, "{rule:<32} {:>10} {:>10} {same:>10} {new:>10} {old:>10}", would.len(), did.len())?;
    }
    for (rule, Compared { would, did }) in compared {
        let new = would.difference(did).map(|alert| ('+', alert));
        let old = did.difference(would).map(|alert| ('-', alert));
        let mut differences: Vec<_> = new.chain(old).collect();
        differences.sort_by_key(|(_, (.., started_at))| *started_at);
        for (sign, (device, metric, started_at)) in differences.iter().take(SHOWN) {
            writeln!(text, "{sign} {started_at} {rule} {device} {metric}")?;
        }
        if let Some(more) = differences.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            writeln!(text, "  … and {more} more of {rule}")?;
        }
    }
    Ok(text)
}
