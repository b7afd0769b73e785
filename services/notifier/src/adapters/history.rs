//! telemetry.aggregates.v1 into the table of device history, by a consumer group of its own: what it has to catch up on
//! keeps no alert waiting.
//!
//! Guarantees: a batch and its positions are one transaction; of a window the highest revision stays. Refuses as poison
//! windows that are none or begin later than tomorrow. Passes over those older than what is kept, and of
//! windows that overlap all but the ones side by side.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use events::{Aggregate, Event as _, Timestamp};
use stream::sink::{Batch, Refused, Sink};
use stream::{Failure, Poison, Record, Registry, decode};

use crate::adapters::db::{Advance, HistoryRow, NotApplied, Store, classify};
use crate::adapters::devices;

/// Consumer group, and the name in its dead-letter and retry topics.
pub const NAME: &str = "notifier-history";
pub const TOPIC: &str = Aggregate::SCHEMA.topic;

/// Clocks may be so far ahead of ours.
const AHEAD: Duration = Duration::from_hours(24);
/// In microseconds.
const SECOND: i128 = 1_000_000;

pub struct HistorySink {
    pub store: Store,
    pub registry: Registry,
    /// How long windows are kept.
    pub keep: Duration,
}

impl Sink for HistorySink {
    /// `None`: not kept.
    type Item = Option<HistoryRow>;
    const KEEPS_POSITIONS: bool = true;

    async fn decode(&mut self, record: &Record) -> Result<Option<HistoryRow>, Failure> {
        let value = record.value.as_deref().ok_or_else(|| Poison::new("no_value", "a record without a value"))?;
        let aggregate: Aggregate = decode::decode(&self.registry, value).await?;
        let now = Timestamp::from(SystemTime::now());
        if aggregate.window_start < now.saturating_sub(self.keep) {
            return Ok(None);
        }
        Ok(window(aggregate, now)?)
    }

    async fn position(&mut self, topic: &str, partition: i32) -> Result<Option<i64>, Failure> {
        self.store.position(topic, partition).await.map_err(|error| classify(&error))
    }

    async fn apply(&mut self, batch: &Batch<Option<HistoryRow>>) -> Result<(), Refused> {
        // Of a window that came several times the highest revision: one row cannot be written twice in a statement.
        let mut latest: HashMap<_, &HistoryRow> = HashMap::new();
        for window in batch.items.iter().filter_map(|(_, window)| window.as_ref()) {
            let known = latest.entry(window.key()).or_insert(window);
            if known.revision < window.revision {
                *known = window;
            }
        }
        match self.store.keep_windows(&Advance::of(&batch.moves), latest.into_values()).await {
            Ok(()) => Ok(()),
            Err(NotApplied::Fenced(fenced)) => Err(Refused::Fenced { topic: fenced.topic, partition: fenced.partition }),
            // What Postgres refuses was checked before.
            Err(NotApplied::Failed(Failure::Poison(poison))) => Err(Failure::fatal(format!("windows are refused: {poison}")).into()),
            Err(NotApplied::Failed(failure)) => Err(failure.into()),
        }
    }
}

fn window(aggregate: Aggregate, now: Timestamp) -> Result<Option<HistoryRow>, Poison> {
    let names = [&aggregate.tenant, &aggregate.device_id, &aggregate.metric];
    devices::check(names, &[])?;
    let numbers = [aggregate.mean, aggregate.min, aggregate.max, aggregate.last, aggregate.stddev];
    let outlook = [aggregate.expected, aggregate.band_low, aggregate.band_high, aggregate.max_score];
    if !numbers.into_iter().chain(outlook.into_iter().flatten()).all(f64::is_finite) {
        return Err(Poison::new("not_finite", "a value that is no number"));
    }
    if aggregate.window_start > now.saturating_add(AHEAD) {
        return Err(Poison::new("window_ahead", format!("{} is more than a day ahead", aggregate.window_start)));
    }
    let start = aggregate.window_start.as_micros();
    let micros = i128::from(aggregate.window_end.as_micros()) - i128::from(start);
    let seconds = i32::try_from(micros / SECOND).ok().filter(|seconds| *seconds > 0 && micros % SECOND == 0 && aggregate.count > 0);
    let seconds = seconds.ok_or_else(|| Poison::new("no_window", "a window has whole seconds, and readings"))?;
    if i128::from(start).rem_euclid(micros) != 0 {
        return Ok(None);
    }
    HistoryRow::new(aggregate, seconds).map(Some).map_err(|problem| Poison::new("no_window", problem.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::signal::LONGEST_NAME;

    fn example() -> Aggregate {
        let example: Aggregate = serde_json::from_str(include_str!("../../../../schemas/golden/aggregate-1.json")).unwrap();
        let start = Timestamp::from_micros(example.window_start.as_micros() / 60_000_000 * 60_000_000);
        Aggregate { window_start: start, window_end: start.saturating_add(Duration::from_mins(1)), ..example }
    }

    fn reason(aggregate: Aggregate) -> String {
        match window(aggregate, example().window_end) {
            Ok(kept) => if kept.is_some() { "kept" } else { "passed over" }.into(),
            Err(poison) => poison.reason.to_string(),
        }
    }

    #[test]
    fn what_is_no_window_is_refused() {
        assert_eq!(reason(example()), "kept");
        let start = example().window_start;
        assert_eq!(reason(Aggregate { metric: "a\0".into(), ..example() }), "unusable_name");
        assert_eq!(reason(Aggregate { device_id: "x".repeat(LONGEST_NAME + 1), ..example() }), "unusable_name");
        assert_eq!(reason(Aggregate { mean: f64::NAN, ..example() }), "not_finite");
        assert_eq!(reason(Aggregate { band_high: Some(f64::INFINITY), ..example() }), "not_finite");
        assert_eq!(reason(Aggregate { window_start: Timestamp::from_micros(i64::MAX), ..example() }), "window_ahead");
        assert_eq!(reason(Aggregate { window_end: start, ..example() }), "no_window");
        assert_eq!(reason(Aggregate { window_end: start.saturating_add(Duration::from_millis(1_500)), ..example() }), "no_window");
        assert_eq!(reason(Aggregate { count: 0, ..example() }), "no_window");
        assert_eq!(reason(Aggregate { anomaly_id: Some("seven".into()), ..example() }), "no_window");
    }

    #[test]
    fn of_windows_that_overlap_those_side_by_side_are_kept() {
        let minutes = |from: u64, length: u64| {
            let day = Timestamp::from_micros(example().window_start.as_micros() / 86_400_000_000 * 86_400_000_000);
            let start = day.saturating_add(Duration::from_mins(from));
            reason(Aggregate { window_start: start, window_end: start.saturating_add(Duration::from_mins(length)), ..example() })
        };
        assert_eq!([0, 5, 10, 15, 20].map(|from| minutes(from, 15)), ["kept", "passed over", "passed over", "kept", "passed over"]);
    }
}
