//! A member of a consumer group whose partitions start only when their owner is ready for them.
//!
//! An assignment is queued, not begun: the owner restores what it needs and then calls [`Member::start`]. A revocation
//! takes effect at once, inside the poll that reports it.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use crate::bootstrap::Bootstrap;
use crate::{Failure, KafkaConfig};

/// A partition of a topic.
pub(crate) type Partition = (String, i32);

/// What a poll learned about ownership.
#[derive(Debug)]
pub(crate) enum Change {
    Assigned(Vec<Partition>),
    Revoked(Vec<Partition>),
}

/// What a poll brought.
pub(crate) enum Polled<'a> {
    Message(BorrowedMessage<'a>),
    /// A partition has been read to its present end.
    End(i32),
    Nothing,
}

#[derive(Default)]
pub(crate) struct Context {
    bootstrap: Bootstrap,
    changes: Mutex<VecDeque<Change>>,
    /// Whether there are any: asked for every message.
    changed: AtomicBool,
    /// An assignment waits for [`Member::start`].
    unanswered: AtomicBool,
    /// Leaving: whatever is assigned now is not wanted.
    leaving: AtomicBool,
}

impl ClientContext for Context {
    fn stats_raw(&self, statistics: &[u8]) {
        self.bootstrap.stats_raw(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.bootstrap.error(error, reason);
    }
}

impl AsRef<Bootstrap> for Context {
    fn as_ref(&self) -> &Bootstrap {
        &self.bootstrap
    }
}

impl ConsumerContext for Context {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let named = partitions.elements().iter().map(|element| (element.topic().to_owned(), element.partition())).collect();
        let change = if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            if self.leaving.load(Ordering::Acquire) {
                decline(consumer);
                return;
            }
            self.unanswered.store(true, Ordering::Release);
            Change::Assigned(named)
        } else {
            if let Err(error) = consumer.incremental_unassign(partitions) {
                tracing::warn!(%error, "revoked partitions were not assigned");
            }
            Change::Revoked(named)
        };
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).push_back(change);
        self.changed.store(true, Ordering::Release);
    }
}

pub(crate) struct Member {
    consumer: BaseConsumer<Context>,
    /// Partitions that give no messages until they are released.
    held: Mutex<BTreeSet<Partition>>,
}

impl Member {
    pub(crate) fn join(kafka: &KafkaConfig, group: &str, topics: &[String], gathering: Duration) -> Result<Self, Failure> {
        let mut config = kafka.member(group, group, gathering)?;
        config.set("enable.partition.eof", "true");
        let consumer: BaseConsumer<Context> = Bootstrap::watch(&mut config).create_with_context(Context::default())?;
        consumer.context().bootstrap.attach(consumer.client(), &config)?;
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics)?;
        Ok(Self { consumer, held: Mutex::default() })
    }

    pub(crate) fn consumer(&self) -> &BaseConsumer<Context> {
        &self.consumer
    }

    /// Takes what changed since the last call.
    pub(crate) fn changes(&self) -> VecDeque<Change> {
        if !self.has_changes() {
            return VecDeque::new();
        }
        let mut changes = self.context_changes();
        self.consumer.context().changed.store(false, Ordering::Release);
        std::mem::take(&mut *changes)
    }

    /// Takes the revocations among what changed; assignments stay, without what was revoked after them.
    pub(crate) fn take_revoked(&self) -> Vec<Partition> {
        let mut changes = self.context_changes();
        let mut gone = Vec::new();
        let mut left = VecDeque::with_capacity(changes.len());
        for change in changes.drain(..) {
            match change {
                Change::Revoked(revoked) => {
                    for change in &mut left {
                        if let Change::Assigned(assigned) = change {
                            assigned.retain(|partition| !revoked.contains(partition));
                        }
                    }
                    gone.extend(revoked);
                }
                assigned @ Change::Assigned(_) => left.push_back(assigned),
            }
        }
        *changes = left;
        self.consumer.context().changed.store(!changes.is_empty(), Ordering::Release);
        gone
    }

    pub(crate) fn has_changes(&self) -> bool {
        self.consumer.context().changed.load(Ordering::Acquire)
    }

    fn context_changes(&self) -> std::sync::MutexGuard<'_, VecDeque<Change>> {
        self.consumer.context().changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Polls once; waits at most `wait`.
    pub(crate) fn poll(&self, wait: Duration) -> Result<Polled<'_>, Failure> {
        match self.consumer.poll(wait) {
            Some(Ok(message)) => Ok(Polled::Message(message)),
            Some(Err(KafkaError::PartitionEOF(partition))) => Ok(Polled::End(partition)),
            Some(Err(error)) => match Failure::from(error) {
                Failure::Fatal(problem) => Err(Failure::Fatal(problem)),
                later => {
                    later.note("consuming");
                    Ok(Polled::Nothing)
                }
            },
            None => Ok(Polled::Nothing),
        }
    }

    /// Polls up to `max` messages; waits at most `wait` for the first one.
    pub(crate) fn poll_batch(&self, max: usize, wait: Duration) -> Result<Vec<BorrowedMessage<'_>>, Failure> {
        let mut batch = Vec::new();
        let mut timeout = wait;
        while batch.len() < max {
            match self.poll(timeout)? {
                Polled::Message(message) => batch.push(message),
                Polled::End(_) => {}
                Polled::Nothing => break,
            }
            timeout = Duration::ZERO;
        }
        Ok(batch)
    }

    /// Begins to read assigned partitions, each from its offset.
    pub(crate) fn start(&self, partitions: &[(Partition, Offset)]) -> Result<(), Failure> {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for ((topic, partition), offset) in partitions {
            list.add_partition_offset(topic, *partition, *offset)?;
        }
        // A partition that was lost while paused comes back paused.
        self.consumer.resume(&list)?;
        self.held.lock().unwrap_or_else(PoisonError::into_inner).retain(|held| !partitions.iter().any(|(started, _)| started == held));
        self.consumer.context().unanswered.store(false, Ordering::Release);
        self.consumer.incremental_assign(&list).map_err(Failure::from)
    }

    /// Takes no messages of partitions that were started just now, until they are released.
    pub(crate) fn hold(&self, partitions: &[Partition]) -> Result<(), Failure> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).extend(partitions.iter().cloned());
        self.consumer.pause(&list(partitions.iter())).map_err(Failure::from)
    }

    pub(crate) fn release(&self, partition: &Partition) -> Result<(), Failure> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(partition);
        self.consumer.resume(&list([partition].into_iter())).map_err(Failure::from)
    }

    /// Stays in the group for `wait` without taking messages: everything owned is paused meanwhile. Returns early when
    /// ownership changes.
    pub(crate) fn wait(&self, wait: Duration) -> Result<(), Failure> {
        let paused = self.consumer.assignment()?;
        self.consumer.pause(&paused)?;
        let until = Instant::now() + wait;
        while !self.has_changes() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            // Paused partitions give no messages; what comes here are errors, noted by the client context.
            drop(self.consumer.poll(left.min(Duration::from_millis(100))));
        }
        let owned: BTreeSet<Partition> = elements(&self.consumer.assignment()?).collect();
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let resumed: Vec<Partition> =
            elements(&paused).filter(|partition| owned.contains(partition) && !held.contains(partition)).collect();
        self.consumer.resume(&list(resumed.iter())).map_err(Failure::from)
    }

    /// Commits next offsets, each with its metadata. How an asynchronous commit ended nobody is told: one that met a
    /// rebalance is refused, so it has to be repeated after [`start`](Self::start).
    pub(crate) fn commit(&self, offsets: &TopicPartitionList, mode: CommitMode) -> Result<(), Failure> {
        self.consumer.commit(offsets, mode).map_err(Failure::from)
    }
}

/// An assignment that nobody answers would keep the consumer from closing, for ever.
impl Drop for Member {
    fn drop(&mut self) {
        let context = self.consumer.context();
        context.leaving.store(true, Ordering::Release);
        if context.unanswered.load(Ordering::Acquire) {
            decline(&self.consumer);
        }
        // Closing alone, a member without partitions would not leave (librdkafka 2.12, cooperative): the others would wait
        // for its session to end.
        if self.consumer.assignment().is_ok_and(|assignment| assignment.count() == 0) {
            self.consumer.unsubscribe();
        }
    }
}

fn decline(consumer: &BaseConsumer<Context>) {
    if let Err(error) = consumer.incremental_assign(&TopicPartitionList::new()) {
        tracing::warn!(%error, "an assignment could not be declined");
    }
}

fn list<'p>(partitions: impl Iterator<Item = &'p Partition>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (topic, partition) in partitions {
        list.add_partition(topic, *partition);
    }
    list
}

fn elements(list: &TopicPartitionList) -> impl Iterator<Item = Partition> {
    list.elements().iter().map(|element| (element.topic().to_owned(), element.partition())).collect::<Vec<_>>().into_iter()
}
