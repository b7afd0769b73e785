//! Two models on the same readings: how often they agree, how often each alarms, and what only one of them opened.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use events::{Event as _, Reading, Timestamp};

use super::History;
use crate::Config;
use crate::adapters::{Model, Runtime};
use crate::commands::CommandError;
use crate::domain::lifecycle::Transition;
use crate::stages::{Detection, Device, Judged, Scored};

/// Two anomalies of one device and metric that begin within this are one.
const SAME_MICROS: i64 = 3_600_000_000;
const SHOWN: usize = 10;
const WEEK_MICROS: f64 = 604_800e6;
/// Fewer scored readings say nothing of a model.
const LEAST_READINGS: u64 = 1_000;
/// Alarms per device-week that no model is refused for.
const QUIET: f64 = 0.1;
const MORE_ALARMS: f64 = 1.25;
const LEAST_FOUND: f64 = 0.5;

/// Device with its tenant, metric, when it began, and the other model's score there.
type Opened = (String, String, i64, f32);

pub struct Comparison {
    old: Side,
    new: Side,
    count_from: Timestamp,
    /// By device and metric: first and last reading counted.
    spans: BTreeMap<(String, String), (i64, i64)>,
    scored: u64,
    agreed: u64,
    difference: f64,
    unreadable: u64,
}

struct Side {
    detection: Detection,
    devices: BTreeMap<String, Device>,
    opened: Vec<Opened>,
}

/// Whether the new model may replace the old one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Accepted,
    Refused(Vec<String>),
}

impl Comparison {
    /// Scores a history with both. Only readings measured at or after `count_from` count; those before make the past.
    pub async fn run(
        config: &Config,
        runtime: &Runtime,
        (old, new): (&Model, &Model),
        history: &History,
        count_from: Timestamp,
    ) -> Result<Self, CommandError> {
        let side = |model| Side::open(config, runtime, model);
        let mut comparison = Self {
            old: side(old)?,
            new: side(new)?,
            count_from,
            spans: BTreeMap::new(),
            scored: 0,
            agreed: 0,
            difference: 0.0,
            unreadable: 0,
        };
        comparison.unreadable = history.read(config, |reading| comparison.take(&reading)).await?;
        Ok(comparison)
    }

    fn take(&mut self, reading: &Reading) -> Result<(), CommandError> {
        let key = reading.key();
        let (Some(old), Some(new)) = (self.old.judge(&key, reading)?, self.new.judge(&key, reading)?) else { return Ok(()) };
        if reading.measured_at < self.count_from {
            return Ok(());
        }
        let at = reading.measured_at.as_micros();
        let span = self.spans.entry((key.clone(), reading.metric.clone())).or_insert((at, at));
        span.1 = at;
        self.scored += 1;
        let alarms = |scored: &Scored| scored.score > scored.thresholds.open_above;
        self.agreed += u64::from(alarms(&old) == alarms(&new));
        self.difference += f64::from((old.score - new.score).abs());
        for (side, scored, other) in [(&mut self.old, &old, &new), (&mut self.new, &new, &old)] {
            if matches!(scored.transition, Some(Transition::Opened(_))) {
                side.opened.push((key.clone(), reading.metric.clone(), at, other.score));
            }
        }
        Ok(())
    }

    fn device_weeks(&self) -> f64 {
        self.spans.values().map(|(first, last)| (last - first) as f64 / WEEK_MICROS).sum()
    }

    fn rate(&self, side: &Side) -> f64 {
        let weeks = self.device_weeks();
        if weeks > 0.0 { side.opened.len() as f64 / weeks } else { 0.0 }
    }

    /// What one side opened and the other did not.
    fn only<'s>(of: &'s Side, other: &Side) -> Vec<&'s Opened> {
        let mut there = HashMap::<(&str, &str), Vec<i64>>::new();
        for (key, metric, at, _) in &other.opened {
            there.entry((key, metric)).or_default().push(*at);
        }
        let is_there = |(key, metric, at, _): &Opened| {
            let times = there.get(&(key.as_str(), metric.as_str()));
            times.is_some_and(|times| times.iter().any(|there| (at - there).abs() <= SAME_MICROS))
        };
        of.opened.iter().filter(|opened| !is_there(opened)).collect()
    }

    /// The verdict, and a report that ends with it.
    pub fn judged(&self) -> Result<(String, Verdict), CommandError> {
        let only = [Self::only(&self.old, &self.new), Self::only(&self.new, &self.old)];
        let verdict = self.verdict(only[0].len());
        let report = self.report(&only, &verdict).map_err(|error| CommandError::Topics(error.into()))?;
        Ok((report, verdict))
    }

    fn verdict(&self, missed: usize) -> Verdict {
        let mut reasons = Vec::new();
        if self.scored < LEAST_READINGS {
            reasons.push(format!("{} readings were scored, {LEAST_READINGS} are needed to judge a model", self.scored));
        }
        let (old, new) = (self.rate(&self.old), self.rate(&self.new));
        if new > QUIET.max(MORE_ALARMS * old) {
            reasons.push(format!("it opens {new:.2} anomalies a device-week, the old one {old:.2}"));
        }
        let (found, all) = (self.old.opened.len() - missed, self.old.opened.len());
        if (found as f64) < LEAST_FOUND * all as f64 {
            reasons.push(format!("it finds {found} of the {all} anomalies the old one opened"));
        }
        if reasons.is_empty() { Verdict::Accepted } else { Verdict::Refused(reasons) }
    }

    fn report(&self, only: &[Vec<&Opened>; 2], verdict: &Verdict) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        let weeks = self.device_weeks();
        writeln!(
            text,
            "{} readings of {} series, {weeks:.2} device-weeks; {} could not be read",
            self.scored,
            self.spans.len(),
            self.unreadable
        )?;
        let of_all = |count: f64| if self.scored > 0 { count / self.scored as f64 } else { 0.0 };
        writeln!(
            text,
            "agree on {:.3} % of readings; scores differ by {:.4} on average",
            100.0 * of_all(self.agreed as f64),
            of_all(self.difference)
        )?;
        for ((name, side), only) in [("old", &self.old), ("new", &self.new)].into_iter().zip(only) {
            let manifest = side.detection.manifest();
            let (opened, rate) = (side.opened.len(), self.rate(side));
            writeln!(
                text,
                "{name}: {} {}: {opened} opened, {rate:.3} a device-week, {} only by it",
                manifest.name,
                manifest.version,
                only.len()
            )?;
        }
        for (sign, only) in ['-', '+'].into_iter().zip(only) {
            for (key, metric, at, other) in only.iter().take(SHOWN) {
                writeln!(text, "{sign} {} {key} {metric} (the other scored {other:.3})", Timestamp::from_micros(*at))?;
            }
        }
        match verdict {
            Verdict::Accepted => writeln!(text, "the new one may replace the old one")?,
            Verdict::Refused(reasons) => writeln!(text, "the new one is refused: {}", reasons.join("; "))?,
        }
        Ok(text)
    }
}

impl Side {
    fn open(config: &Config, runtime: &Runtime, model: &Model) -> Result<Self, CommandError> {
        Ok(Self { detection: config.detection(runtime, model)?, devices: BTreeMap::new(), opened: Vec::new() })
    }

    fn judge(&mut self, key: &str, reading: &Reading) -> Result<Option<Scored>, CommandError> {
        let device = match self.devices.get_mut(key) {
            Some(device) => device,
            None => self.devices.entry(key.to_owned()).or_default(),
        };
        match self.detection.judge(reading, device) {
            Ok(Judged::Scored(scored)) if scored.observation.ready => Ok(Some(scored)),
            Ok(_) | Err(stream::Failure::Poison(_)) => Ok(None),
            Err(failure) => Err(CommandError::Topics(failure.into())),
        }
    }
}
