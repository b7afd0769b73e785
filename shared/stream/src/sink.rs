//! Sink: batches of records into a store that also keeps each partition's position.
//!
//! The store's position moves by compare-and-set in the same transaction as the effects, so any replay is harmless and
//! a zombie is fenced; the group's offset follows. Poison goes to the dead-letter queue, whose acknowledgement is
//! awaited before the position passes it.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::time::{Duration, Instant, SystemTime};

use events::{Timestamp, topics};
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use serde::Deserialize;
use service::{Health, HealthCheck, Shutdown, Supervisor};
use telemetry::metrics;

use crate::consumer::{Change, Member, Partition};
use crate::dlq::DlqLimit;
use crate::failure::backoff;
use crate::producer::GiveUp;
use crate::watermarks::watermarks;
use crate::{Failure, KafkaConfig, Poison, Publisher, Record, dlq};

/// How often the group's positions follow a store's.
const FOLLOW: Duration = Duration::from_secs(1);

/// A store for records.
pub trait Sink: Send + 'static {
    /// What a record means to the store.
    type Item: Send;

    /// Whether the store keeps the positions. Then the group's are only for those who look at its lag, and follow once a second;
    /// else they are the positions, and follow every batch.
    const KEEPS_POSITIONS: bool = false;

    /// Reads a record. Called in log order; must not wait longer than a registry answers.
    fn decode(&mut self, record: &Record) -> impl Future<Output = Result<Self::Item, Failure>> + Send;

    /// The next offset the store expects of a partition; `None` when it has never seen it, or keeps none.
    fn position(&mut self, _topic: &str, _partition: i32) -> impl Future<Output = Result<Option<i64>, Failure>> + Send {
        std::future::ready(Ok(None))
    }

    /// Applies a batch and moves the positions, in one transaction.
    fn apply(&mut self, batch: &Batch<Self::Item>) -> impl Future<Output = Result<(), Refused>> + Send;
}

/// Records of several partitions, each partition's in log order.
pub struct Batch<I> {
    pub items: Vec<(Record, I)>,
    /// Per partition: the offset the store must expect now, and the one it has to expect next. May move without any
    /// item: what was poison is passed over.
    pub moves: BTreeMap<(String, i32), (i64, i64)>,
}

/// Why a batch was not applied; nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Another owner moved a position: give the partitions up and read the store's positions again.
    #[error("another owner moved the position of {topic} [{partition}]")]
    Fenced { topic: String, partition: i32 },
    /// The item at this place of the batch can never be applied.
    #[error("item {index}: {poison}")]
    Item { index: usize, poison: Poison },
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// `[sink]` of a service's configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinkConfig {
    /// Records of one transaction at most.
    pub max_batch: usize,
    /// How long the first record of a batch is waited for.
    #[serde(with = "humantime_serde")]
    pub wait: Duration,
    pub dlq_limit: DlqLimit,
}

/// Starts `sink` on `topics` (without prefix) and on the service's retry topic, as a member of group `service`.
pub fn start<S: Sink>(
    sink: S,
    service: &'static str,
    topics: &[&str],
    kafka: &KafkaConfig,
    config: &SinkConfig,
    health: &Health,
    supervisor: &mut Supervisor,
) {
    let check = health.check(format!("{service}-sink"));
    let (kafka, config, shutdown, runtime) = (kafka.clone(), config.clone(), supervisor.shutdown(), tokio::runtime::Handle::current());
    let topics = topics.iter().map(|topic| kafka.prefixed(topic)).chain([kafka.prefixed(&topics::retry(service))]).collect();
    supervisor.spawn_thread(format!("{service}-sink"), move || {
        let publisher = Publisher::connect(&kafka, &format!("{service}-dlq"), GiveUp::After(Duration::from_secs(30)))?;
        let limit = dlq::Limit::new(config.dlq_limit);
        let runner = Runner {
            sink,
            service,
            topics,
            kafka,
            config,
            check,
            runtime,
            publisher,
            expected: HashMap::new(),
            followed: (Instant::now(), false),
            limit,
        };
        match runner.run(&shutdown) {
            // What a shutdown cut short is no failure: the store still stands where it stood.
            Err(Failure::Transient(_)) if shutdown.is_cancelled() => Ok(()),
            outcome => Ok(outcome?),
        }
    });
}

struct Runner<S> {
    sink: S,
    service: &'static str,
    topics: Vec<String>,
    kafka: KafkaConfig,
    config: SinkConfig,
    check: HealthCheck,
    runtime: tokio::runtime::Handle,
    publisher: Publisher,
    /// The next offset of each owned partition.
    expected: HashMap<Partition, i64>,
    /// When the group's positions were to follow last, and whether there is more since.
    followed: (Instant, bool),
    limit: dlq::Limit,
}

impl<S: Sink> Runner<S> {
    fn run(mut self, shutdown: &Shutdown) -> Result<(), Failure> {
        let member = Member::join(&self.kafka, self.service, &self.topics, Duration::ZERO)?;
        let processing = metrics::histogram("fieldwatch_processing_seconds", &[("stage", self.service)]);
        while !shutdown.is_cancelled() {
            self.check.beat();
            self.follow_changes(&member, shutdown)?;
            let messages = member.poll_batch(self.config.max_batch, self.config.wait)?;
            let records: Vec<Record> = messages.iter().map(Record::from_message).collect();
            drop(messages);
            self.forget(&member.take_revoked());
            if records.is_empty() {
                self.check.ready();
                for topic in &self.topics {
                    metrics::gauge("fieldwatch_lag_seconds", &[("topic", topic)]).set(0.0);
                }
                self.follow(&member, FOLLOW)?;
                continue;
            }
            let started = Instant::now();
            if let Some(batch) = self.decode(records, &member, shutdown)? {
                self.apply(batch, &member, shutdown)?;
            }
            processing.observe(started.elapsed().as_secs_f64());
        }
        self.follow(&member, Duration::ZERO)
    }

    fn follow_changes(&mut self, member: &Member, shutdown: &Shutdown) -> Result<(), Failure> {
        for change in member.changes() {
            match change {
                Change::Revoked(revoked) => self.forget(&revoked),
                Change::Assigned(assigned) => {
                    let mut starts = Vec::with_capacity(assigned.len());
                    for partition in assigned {
                        let start = self.start_offset(&partition, member, shutdown)?;
                        self.expected.insert(partition.clone(), start);
                        starts.push((partition, Offset::Offset(start)));
                    }
                    member.start(&starts)?;
                    // What was committed while the group changed may have been refused.
                    self.followed.1 = true;
                    self.follow(member, Duration::ZERO)?;
                }
            }
        }
        for topic in &self.topics {
            let owned = self.expected.keys().filter(|(owned, _)| owned == topic).count();
            metrics::gauge("fieldwatch_assigned_partitions", &[("topic", topic)]).set(owned as f64);
        }
        Ok(())
    }

    fn forget(&mut self, revoked: &[Partition]) {
        for partition in revoked {
            self.expected.remove(partition);
        }
    }

    /// The store's own position wins over the group's: it moved with the effects.
    fn start_offset(&mut self, partition: &Partition, member: &Member, shutdown: &Shutdown) -> Result<i64, Failure> {
        for attempt in 0.. {
            let found = self.try_start_offset(partition, member);
            match found {
                Err(Failure::Transient(problem)) if !shutdown.is_cancelled() => {
                    Failure::Transient(problem.clone()).note("reading positions");
                    self.check.not_ready(problem);
                    self.check.beat();
                    std::thread::sleep(backoff(attempt, partition.1 as u64));
                }
                found => return found,
            }
        }
        Err(Failure::transient("no position"))
    }

    fn try_start_offset(&mut self, (topic, number): &Partition, member: &Member) -> Result<i64, Failure> {
        const TIMEOUT: Duration = Duration::from_secs(10);
        let (log_start, _) = watermarks(member.consumer(), topic, *number, TIMEOUT)?;
        if let Some(stored) = self.runtime.block_on(self.sink.position(topic, *number))? {
            return Ok(stored.max(log_start));
        }
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition(topic, *number);
        let committed = member.consumer().committed_offsets(wanted, TIMEOUT)?;
        Ok(match committed.find_partition(topic, *number).map(|element| element.offset()) {
            Some(Offset::Offset(offset)) => offset.max(log_start),
            _ => log_start,
        })
    }

    /// Decodes; poison is in the dead-letter queue before this returns. `None`: stopping, or partitions were lost.
    fn decode(&mut self, records: Vec<Record>, member: &Member, shutdown: &Shutdown) -> Result<Option<Batch<S::Item>>, Failure> {
        let mut batch = Batch { items: Vec::with_capacity(records.len()), moves: BTreeMap::new() };
        for record in records {
            let partition = (record.position.topic.clone(), record.position.partition);
            let Some(expected) = self.expected.get(&partition).copied() else { continue };
            let next = record.position.offset + 1;
            batch.moves.entry(partition).or_insert((expected, expected)).1 = next;
            let mut attempt = 0;
            let decoded = loop {
                match self.runtime.block_on(self.sink.decode(&record)) {
                    Err(Failure::Transient(problem)) => {
                        if !self.stay(member, shutdown, &Failure::Transient(problem), attempt)? {
                            return Ok(None);
                        }
                        attempt += 1;
                    }
                    decoded => break decoded,
                }
            };
            self.limit.count(decoded.is_err())?;
            match decoded {
                Ok(item) => {
                    metrics::counter("fieldwatch_messages_in", &[("topic", &record.position.topic)]).inc();
                    batch.items.push((record, item));
                }
                Err(Failure::Poison(poison)) => self.bury(&record, &poison, member, shutdown)?,
                Err(failure) => return Err(failure),
            }
        }
        Ok(Some(batch))
    }

    /// Applies the batch, for as long as it takes, then lets the group's offsets follow.
    fn apply(&mut self, mut batch: Batch<S::Item>, member: &Member, shutdown: &Shutdown) -> Result<(), Failure> {
        for attempt in 0.. {
            match self.runtime.block_on(self.sink.apply(&batch)) {
                Ok(()) => break,
                Err(Refused::Fenced { topic, partition }) => {
                    tracing::warn!(topic, partition, "another owner moved this position; reading it again");
                    return self.rewind(&batch, member, shutdown);
                }
                Err(Refused::Item { index, poison }) => {
                    let (record, _) = batch.items.remove(index);
                    self.limit.count(true)?;
                    self.bury(&record, &poison, member, shutdown)?;
                }
                Err(Refused::Failed(failure @ Failure::Transient(_))) => {
                    if !self.stay(member, shutdown, &failure, attempt)? {
                        return self.rewind(&batch, member, shutdown);
                    }
                }
                Err(Refused::Failed(failure)) => return Err(failure),
            }
        }
        self.check.ready();
        for (partition, (_, next)) in &batch.moves {
            self.expected.insert(partition.clone(), *next);
        }
        // While a dead letter waited.
        self.forget(&member.take_revoked());
        if let Some((record, _)) = batch.items.last() {
            let age = record.timestamp.map(|at| Timestamp::from(SystemTime::now()).since(Timestamp::from_millis(at)));
            metrics::gauge("fieldwatch_lag_seconds", &[("topic", &record.position.topic)]).set(age.unwrap_or_default().as_secs_f64());
        }
        self.followed.1 = true;
        self.follow(member, if S::KEEPS_POSITIONS { FOLLOW } else { Duration::ZERO })
    }

    /// Lets the group's offsets follow, where they did not for so long.
    fn follow(&mut self, member: &Member, after: Duration) -> Result<(), Failure> {
        let (at, behind) = self.followed;
        if !behind || at.elapsed() < after {
            return Ok(());
        }
        self.followed = (Instant::now(), false);
        let mut offsets = TopicPartitionList::new();
        for ((topic, number), next) in &self.expected {
            offsets.add_partition_offset(topic, *number, Offset::Offset(*next))?;
        }
        match member.commit(&offsets, CommitMode::Async) {
            Err(Failure::Fatal(problem)) => Err(Failure::Fatal(problem)),
            _ => Ok(()),
        }
    }

    /// Back to where the store stands, for the partitions of a batch that was not applied and that are still ours.
    fn rewind(&mut self, batch: &Batch<S::Item>, member: &Member, shutdown: &Shutdown) -> Result<(), Failure> {
        self.forget(&member.take_revoked());
        for partition in batch.moves.keys().filter(|partition| self.expected.contains_key(*partition)).cloned().collect::<Vec<_>>() {
            let start = self.start_offset(&partition, member, shutdown)?;
            member.consumer().seek(&partition.0, partition.1, Offset::Offset(start), Duration::from_secs(10))?;
            self.expected.insert(partition, start);
        }
        Ok(())
    }

    /// Waits before another try, staying in the group. False: stopping, or ownership changed.
    fn stay(&mut self, member: &Member, shutdown: &Shutdown, failure: &Failure, attempt: u32) -> Result<bool, Failure> {
        failure.note(self.service);
        self.check.not_ready(failure.to_string());
        self.check.beat();
        member.wait(backoff(attempt, u64::from(std::process::id())))?;
        Ok(!shutdown.is_cancelled() && !member.has_changes())
    }

    /// Puts a record into the dead-letter queue and waits until it is there.
    fn bury(&mut self, record: &Record, poison: &Poison, member: &Member, shutdown: &Shutdown) -> Result<(), Failure> {
        Failure::Poison(poison.clone()).note(&record.position.topic);
        for attempt in 0.. {
            let letter = dlq::letter(&self.kafka, self.service, record, poison);
            match self.runtime.block_on(self.publisher.send(letter)) {
                Err(failure @ Failure::Transient(_)) => {
                    if !self.stay(member, shutdown, &failure, attempt)? && shutdown.is_cancelled() {
                        return Err(failure);
                    }
                }
                sent => return sent.map(drop),
            }
        }
        Ok(())
    }
}
