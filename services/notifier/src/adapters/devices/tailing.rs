//! One loop per source: from its beginning or a bounded way back, to its end, and on.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use service::{HealthCheck, Shutdown};
use stream::failure::backoff;
use stream::tail::{From, Offsets, Seen, Tail};
use stream::{Failure, KafkaConfig, Record};
use telemetry::metrics;
use tokio::time::Instant;

use super::{DeviceView, Source};

/// What devices say is shown so much later, and not every reading is a request.
const GATHERING: Duration = Duration::from_millis(100);
/// Between two signs of life when nothing happens.
const QUIET: Duration = Duration::from_secs(5);

/// Where each partition is read from, and where it ends.
struct Plan {
    next: Offsets,
    ends: Offsets,
}

/// A source being read.
struct Reading {
    tail: Tail,
    /// Partitions that were not yet read to their end as it was at the start.
    behind: BTreeSet<i32>,
    ends: Offsets,
}

impl DeviceView {
    /// Reads a source until shutdown. What cannot be reached is tried again.
    pub async fn run(self, source: Source, check: HealthCheck, shutdown: Shutdown) -> anyhow::Result<()> {
        tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            outcome = self.follow(source, &check) => Ok(outcome?),
        }
    }

    async fn follow(&self, source: Source, check: &HealthCheck) -> Result<(), Failure> {
        let mut reading = self.open(source, check).await?;
        let (mut caught_up, mut looked, mut failed) = (false, Instant::now(), 0);
        loop {
            check.beat();
            // A log that is never at its end must leave room for the others, and for the stop.
            tokio::task::consume_budget().await;
            if !caught_up && reading.behind.is_empty() {
                caught_up = true;
                self.shared.behind.fetch_sub(1, Ordering::Release);
                check.ready();
            }
            if looked.elapsed() >= self.shared.config.look_again {
                self.look_again(source, &mut reading).await?;
                // From its end on: between two looks there is always time to read.
                looked = Instant::now();
            }
            let quiet = QUIET.min(self.shared.config.look_again);
            match tokio::time::timeout(quiet, reading.tail.next()).await {
                Err(_) => {}
                Ok(Ok(Seen::End(partition))) => {
                    reading.behind.remove(&partition);
                }
                Ok(Ok(Seen::Record(record))) => {
                    failed = 0;
                    self.take_record(source, &record, check).await?;
                    reading.passed(&record);
                }
                Ok(Err(failure)) => {
                    failure.note(source.name());
                    if matches!(failure, Failure::Fatal(_)) {
                        return Err(failure);
                    }
                    tokio::time::sleep(backoff(failed, 0)).await;
                    failed += 1;
                }
            }
        }
    }

    async fn open(&self, source: Source, check: &HealthCheck) -> Result<Reading, Failure> {
        for attempt in 0.. {
            let opened = match self.plan(source, Offsets::new()).await {
                Ok(plan) => self.open_at(source, plan).await,
                Err(failure) => Err(failure),
            };
            match opened {
                Err(failure @ Failure::Transient(_)) => {
                    failure.note(source.name());
                    check.not_ready(failure.to_string());
                    tokio::time::sleep(backoff(attempt, 0)).await;
                }
                opened => return opened,
            }
        }
        Err(Failure::fatal(format!("{} cannot be opened", source.name())))
    }

    /// Goes on at the partitions as they are now: new ones from their beginning, and where the end is further ahead than
    /// would be read back at a start, from there: the latest values are worth more than the ones before.
    async fn look_again(&self, source: Source, reading: &mut Reading) -> Result<(), Failure> {
        let before = reading.tail.offsets().clone();
        let moved = match self.plan(source, before.clone()).await {
            Ok(plan) if plan.next == before => return Ok(()),
            Ok(plan) => self.open_at(source, plan).await,
            Err(failure) => Err(failure),
        };
        match moved {
            Ok(moved) => {
                tracing::info!(source = source.name(), from = ?before, to = ?moved.tail.offsets(), "goes on elsewhere");
                // What was behind at the start is what others wait for; new partitions are not.
                let behind = moved.behind.intersection(&reading.behind).copied().collect();
                *reading = Reading { behind, ..moved };
                Ok(())
            }
            Err(failure @ Failure::Fatal(_)) => Err(failure),
            Err(failure) => {
                failure.note(source.name());
                Ok(())
            }
        }
    }

    async fn plan(&self, source: Source, known: Offsets) -> Result<Plan, Failure> {
        let (kafka, topic) = (self.shared.kafka.clone(), self.shared.kafka.prefixed(source.topic()));
        let back = (source == Source::Readings).then_some(i64::from(self.shared.config.readings_back));
        tokio::task::spawn_blocking(move || plan(&kafka, &topic, back, &known)).await.map_err(Failure::fatal)?
    }

    async fn open_at(&self, source: Source, Plan { next, ends }: Plan) -> Result<Reading, Failure> {
        let (kafka, topic) = (self.shared.kafka.clone(), self.shared.kafka.prefixed(source.topic()));
        let behind = next.iter().filter(|(partition, next)| ends.get(partition) > Some(next)).map(|(partition, _)| *partition).collect();
        let open = move || Tail::open_gathering(&kafka, crate::NAME, &topic, &From::Offsets(next), GATHERING);
        let tail = tokio::task::spawn_blocking(open).await.map_err(Failure::fatal)??;
        Ok(Reading { tail, behind, ends })
    }

    /// Takes a record; one that says nothing of a device is counted and passed over.
    async fn take_record(&self, source: Source, record: &Record, check: &HealthCheck) -> Result<(), Failure> {
        for attempt in 0.. {
            match self.read(source, record).await {
                Ok(news) => {
                    self.take(source, news);
                    return Ok(());
                }
                Err(failure @ Failure::Transient(_)) => {
                    failure.note(source.name());
                    check.beat();
                    tokio::time::sleep(backoff(attempt, 0)).await;
                }
                Err(Failure::Poison(poison)) => {
                    metrics::counter("fieldwatch_device_records_skipped", &[("topic", source.topic())]).inc();
                    tracing::debug!(source = source.name(), position = ?record.position, %poison, "passed over");
                    return Ok(());
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }
}

impl Reading {
    fn passed(&mut self, record: &Record) {
        let (partition, next) = (record.position.partition, record.position.offset + 1);
        if self.ends.get(&partition).is_none_or(|end| next >= *end) {
            self.behind.remove(&partition);
        }
    }
}

/// Each partition where it is known to stand, unless that is too far back or no longer in the log; else so far back from
/// its end, or at its beginning. Blocks.
fn plan(kafka: &KafkaConfig, topic: &str, back: Option<i64>, known: &Offsets) -> Result<Plan, Failure> {
    let tail = Tail::open(kafka, crate::NAME, topic, &From::End)?;
    let (ends, beginnings) = (tail.offsets().clone(), tail.beginnings()?);
    let next = ends.iter().map(|(partition, end)| {
        let beginning = beginnings.get(partition).copied().unwrap_or(*end);
        let furthest = back.map_or(beginning, |back| beginning.max(end - back));
        let known = known.get(partition).copied().filter(|next| (furthest..=*end).contains(next));
        (*partition, known.unwrap_or(furthest))
    });
    Ok(Plan { next: next.collect(), ends })
}
