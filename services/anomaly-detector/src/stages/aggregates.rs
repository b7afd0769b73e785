//! Statistics over windows, as a stage of its own: its small state goes out with every window, the detector's large one does
//! not. So it knows what was expected, and not what the model scored.

use std::collections::BTreeMap;
use std::time::Duration;

use events::{Aggregate, Arrival, Reading, SeenReadings, Timestamp};
use serde::{Deserialize, Serialize};
use stream::operator::{NoNotice, Operator, Outputs, State};
use stream::{Failure, Poison};
use telemetry::metrics::{Counter, counter};

use super::about::About;
use crate::domain::aggregates::{Closed, Fold, Rules, Windows};

pub struct AggregatesOperator {
    rules: Rules,
    /// A silent device's windows close this long after their end.
    grace: Duration,
    forget_after: Duration,
    too_late: Counter,
    duplicates: Counter,
}

/// What is kept of a device.
#[derive(Default, Serialize, Deserialize)]
pub struct Aggregated {
    about: About,
    last_received: Timestamp,
    metrics: BTreeMap<String, Metric>,
}

#[derive(Default, Serialize, Deserialize)]
struct Metric {
    seen: SeenReadings,
    windows: Windows,
    /// `received_at` of the newest reading: how the device's clock stands to the partition's.
    newest_received: Timestamp,
}

impl State for Aggregated {
    const FORMAT: u8 = 1;

    fn is_idle(&self) -> bool {
        self.metrics.is_empty()
    }
}

impl AggregatesOperator {
    pub fn new(rules: Rules, grace: Duration, forget_after: Duration) -> Self {
        let stage = [("stage", Self::STAGE)];
        let (too_late, duplicates) = (counter("fieldwatch_late_readings", &stage), counter("fieldwatch_duplicate_readings", &stage));
        Self { rules, grace, forget_after, too_late, duplicates }
    }
}

impl Metric {
    /// When the partition's time has brought the device's own to what its windows wait for.
    fn due(&self, grace: Duration) -> Option<Timestamp> {
        let ahead = self.windows.due()?.saturating_sub(self.windows.newest()?).max(0);
        Some(self.newest_received.saturating_add(Duration::from_micros(ahead.unsigned_abs())).saturating_add(grace))
    }

    /// The device's own time at the partition's, if its clock went on.
    fn own_time(&self, now: Timestamp, grace: Duration) -> Option<i64> {
        let passed = now.saturating_sub(grace).since(self.newest_received);
        Some(self.windows.newest()?.saturating_add(i64::try_from(passed.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl Operator for AggregatesOperator {
    type Event = Reading;
    type Notice = NoNotice;
    type State = Aggregated;

    const STAGE: &'static str = "anomaly-detector-aggregates";

    fn received_at(&self, reading: &Reading) -> Timestamp {
        reading.received_at
    }

    fn on_event(&self, _key: &str, reading: &Reading, device: &mut Aggregated, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        if !reading.value.is_finite() {
            return Err(Poison::new("not_finite", format!("{} is {}", reading.metric, reading.value)).into());
        }
        if !reading.is_fresh() {
            return Ok(());
        }
        device.last_received = device.last_received.max(reading.received_at);
        device.about.follow(reading);
        // Known names are not copied: this is the way of every reading.
        let metric = match device.metrics.get_mut(&reading.metric) {
            Some(metric) => metric,
            None => device.metrics.entry(reading.metric.clone()).or_default(),
        };
        let arrival = metric.seen.arrive(reading);
        if arrival == Arrival::Duplicate {
            self.duplicates.inc();
            return Ok(());
        }
        let mut closed = Vec::new();
        let fold = metric.windows.take(reading.measured_at.as_micros(), reading.value, &self.rules, &mut |window| closed.push(window));
        if fold == Fold::TooLate {
            self.too_late.inc();
        }
        if arrival == Arrival::New {
            metric.newest_received = reading.received_at;
        }
        closed.iter().try_for_each(|window| outputs.emit(&aggregate(&device.about, &reading.metric, window)))
    }

    fn due(&self, device: &Aggregated) -> Option<Timestamp> {
        let forgotten = (!device.metrics.is_empty()).then(|| device.last_received.saturating_add(self.forget_after));
        device.metrics.values().filter_map(|metric| metric.due(self.grace)).chain(forgotten).min()
    }

    fn on_time(&self, _key: &str, now: Timestamp, device: &mut Aggregated, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        for (name, metric) in &mut device.metrics {
            let mut closed = Vec::new();
            if metric.due(self.grace).is_some_and(|due| due <= now)
                && let Some(to) = metric.own_time(now, self.grace)
            {
                metric.windows.pass(to, &self.rules, &mut |window| closed.push(window));
            }
            closed.iter().try_for_each(|window| outputs.emit(&aggregate(&device.about, name, window)))?;
        }
        if now >= device.last_received.saturating_add(self.forget_after) {
            device.metrics.clear();
        }
        Ok(())
    }
}

fn aggregate(about: &About, metric: &str, window: &Closed) -> Aggregate {
    let About { tenant, device_id, group_id } = about;
    let Closed { start, end, revision, stats, expected } = *window;
    Aggregate {
        tenant: tenant.clone(),
        device_id: device_id.clone(),
        group_id: group_id.clone(),
        metric: metric.to_owned(),
        window_start: Timestamp::from_micros(start),
        window_end: Timestamp::from_micros(end),
        revision,
        count: i64::from(stats.count),
        mean: stats.mean,
        min: stats.min,
        max: stats.max,
        last: stats.last,
        stddev: stats.deviation(),
        expected: expected.map(|(level, ..)| level),
        band_low: expected.map(|(_, low, _)| low),
        band_high: expected.map(|(.., high)| high),
        max_score: None,
        anomaly_id: None,
    }
}
