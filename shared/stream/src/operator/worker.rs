//! One worker thread: one consumer, one transactional producer, the state of its partitions.
//!
//! No transaction stays open across a wait: what a poll brought is committed before the next poll, so a revocation
//! (which only a poll can report) never finds anything half done.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use events::{Event, Timestamp};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};
use service::{HealthCheck, Shutdown};
use telemetry::metrics;

use super::partition::{Effects, Origin, PartitionState, Step};
use super::restore::Restorer;
use super::state::RETRY_POSITION_KEY;
use super::transaction::{Attempt, Transactions};
use super::{Operator, OperatorContext};
use crate::consumer::{Change, Member};
use crate::decode::decode_blocking;
use crate::failure::backoff;
use crate::record::Cause;
use crate::{Failure, OutRecord, Record, dlq};

const POLL: Duration = Duration::from_millis(50);

pub(crate) struct Worker<O: Operator> {
    operator: Arc<O>,
    context: OperatorContext,
    number: usize,
    health: HealthCheck,
    runtime: tokio::runtime::Handle,
    input: String,
    retry: String,
    state: String,
    partitions: HashMap<i32, PartitionState<O::State>>,
    limit: dlq::Limit,
    committed_at: Instant,
    /// Partitions with processed records whose offsets are not committed yet.
    uncommitted: BTreeSet<i32>,
    meters: Meters,
}

struct Meters {
    taken: metrics::Counter,
    processing: metrics::Histogram,
    from_measured: metrics::Histogram,
    keys: metrics::GaugeF64,
    owned: metrics::GaugeF64,
    lag_seconds: metrics::GaugeF64,
}

/// What one transaction holds, by partition, so that a partition that was lost meanwhile can be left out.
#[derive(Default)]
struct Plan {
    records: BTreeMap<i32, Vec<OutRecord>>,
}

impl<O: Operator> Worker<O> {
    pub(crate) fn new(
        operator: Arc<O>,
        context: OperatorContext,
        number: usize,
        health: HealthCheck,
        runtime: tokio::runtime::Handle,
    ) -> Self {
        let input = context.kafka.prefixed(O::Event::SCHEMA.topic);
        let limit = dlq::Limit::new(context.config.dlq_limit);
        let meters = Meters {
            taken: metrics::counter("fieldwatch_messages_in", &[("topic", &input)]),
            processing: metrics::histogram("fieldwatch_processing_seconds", &[("stage", O::STAGE)]),
            from_measured: metrics::histogram("fieldwatch_end_to_end_seconds", &[("topic", &input), ("from", "received_at")]),
            keys: metrics::gauge("fieldwatch_state_keys", &[("stage", O::STAGE)]),
            owned: metrics::gauge("fieldwatch_assigned_partitions", &[("topic", &input)]),
            lag_seconds: metrics::gauge("fieldwatch_lag_seconds", &[("topic", &input)]),
        };
        Self {
            retry: context.kafka.prefixed(&events::topics::retry(O::STAGE)),
            state: context.kafka.prefixed(&events::topics::state(O::STAGE)),
            input,
            operator,
            context,
            number,
            health,
            runtime,
            partitions: HashMap::new(),
            limit,
            committed_at: Instant::now(),
            uncommitted: BTreeSet::new(),
            meters,
        }
    }

    /// Works until the shutdown; what was taken is committed then.
    pub(crate) fn run(mut self, shutdown: &Shutdown) -> Result<(), Failure> {
        let kafka = self.context.kafka.clone();
        let transactional_id = kafka.prefixed(&format!("{}-{}-{}", O::STAGE, uuid::Uuid::new_v4(), self.number));
        let Some(transactions) = self.reach_kafka(&transactional_id, shutdown)? else { return Ok(()) };
        let restorer = Restorer::new(&self.context, O::STAGE, self.input.clone(), self.state.clone())?;
        let retry = kafka
            .consumer(&format!("{}-retry", O::STAGE))?
            .set("group.id", kafka.prefixed(&format!("{}-retry", O::STAGE)))
            .create::<BaseConsumer>()?;
        let member = Member::join(&kafka, O::STAGE, std::slice::from_ref(&self.input))?;
        self.health.ready();

        while !shutdown.is_cancelled() {
            self.health.beat();
            self.follow_changes(&member, &restorer, &retry)?;
            let wait = if self.uncommitted.is_empty() { POLL } else { POLL.min(self.context.config.commit_interval) };
            let batch = member.poll_batch(self.context.config.max_poll_records, wait)?;
            self.follow_revocations(&member);
            let started = Instant::now();
            let mut plan = Plan::default();
            for message in &batch {
                self.take(message, true, &member, &mut plan)?;
            }
            if !self.partitions.is_empty() {
                while let Some(redriven) = retry.poll(Duration::ZERO) {
                    match redriven.map_err(Failure::from) {
                        Ok(message) => self.take(&message, false, &member, &mut plan)?,
                        Err(Failure::Fatal(problem)) => return Err(Failure::Fatal(problem)),
                        Err(later) => {
                            later.note(&self.retry);
                            break;
                        }
                    }
                }
            }
            if !batch.is_empty() {
                self.meters.taken.inc_by(batch.len() as u64);
            }
            drop(batch);
            self.add_due_snapshots(&mut plan)?;
            self.commit(&transactions, &member, plan)?;
            self.meters.processing.observe(started.elapsed().as_secs_f64());
        }
        self.commit_offsets(&member, CommitMode::Sync)
    }

    /// Kafka may not be there yet; that is no reason to die.
    fn reach_kafka(&mut self, transactional_id: &str, shutdown: &Shutdown) -> Result<Option<Transactions>, Failure> {
        for attempt in 0.. {
            match Transactions::begin_with(&self.context.kafka, transactional_id) {
                Ok(transactions) => return Ok(Some(transactions)),
                Err(Failure::Fatal(problem)) => return Err(Failure::Fatal(problem)),
                Err(later) => {
                    later.note("reaching Kafka");
                    self.health.not_ready(later.to_string());
                    std::thread::sleep(backoff(attempt, self.number as u64));
                }
            }
            if shutdown.is_cancelled() {
                break;
            }
        }
        Ok(None)
    }

    fn follow_changes(&mut self, member: &Member, restorer: &Restorer, retry: &BaseConsumer) -> Result<(), Failure> {
        let mut changed = false;
        for change in member.changes() {
            changed = true;
            match change {
                Change::Revoked(revoked) => self.drop_partitions(&revoked),
                Change::Assigned(assigned) => {
                    let mut starts = Vec::with_capacity(assigned.len());
                    for (topic, partition) in assigned {
                        let state = self.restore(member, restorer, partition)?;
                        starts.push(((topic, partition), Offset::Offset(state.next_offset)));
                        self.partitions.insert(partition, state);
                    }
                    member.start(&starts)?;
                }
            }
        }
        if changed {
            self.assign_retries(retry)?;
            self.meters.owned.set(self.partitions.len() as f64);
        }
        Ok(())
    }

    fn restore(&self, member: &Member, restorer: &Restorer, partition: i32) -> Result<PartitionState<O::State>, Failure> {
        for attempt in 0.. {
            match restorer.restore(&*self.operator, &self.context, &self.runtime, member, partition) {
                Err(Failure::Transient(problem)) if attempt < 20 => {
                    Failure::Transient(problem).note("restoring");
                    std::thread::sleep(backoff(attempt, partition as u64));
                }
                outcome => return outcome,
            }
        }
        Err(Failure::fatal(format!("{} [{partition}] cannot be restored", self.state)))
    }

    /// Revocations are followed at once, so that nothing more is done for a partition that is gone; assignments wait
    /// for the next turn.
    fn follow_revocations(&mut self, member: &Member) {
        let revoked = member.take_revoked();
        self.drop_partitions(&revoked);
    }

    fn drop_partitions(&mut self, revoked: &[(String, i32)]) {
        for (_, partition) in revoked {
            self.partitions.remove(partition);
            self.uncommitted.remove(partition);
        }
    }

    /// Reads retry[i] for every input partition i owned, from the position in its state.
    fn assign_retries(&self, retry: &BaseConsumer) -> Result<(), Failure> {
        let mut wanted = TopicPartitionList::new();
        for (number, state) in &self.partitions {
            wanted.add_partition_offset(&self.retry, *number, Offset::Offset(state.retry_offset))?;
        }
        retry.assign(&wanted).map_err(Failure::from)
    }

    /// Processes one message into `plan`. Poison becomes a dead letter in the same transaction.
    fn take(&mut self, message: &BorrowedMessage<'_>, from_input: bool, member: &Member, plan: &mut Plan) -> Result<(), Failure> {
        let number = message.partition();
        let event = message.payload().map(|value| self.decode(value, member));
        let Some(partition) = self.partitions.get_mut(&number) else { return Ok(()) };
        let records = plan.records.entry(number).or_default();
        let origin = if from_input {
            if message.offset() < partition.next_offset {
                return Ok(());
            }
            Origin::Input { offset: message.offset() }
        } else {
            partition.retry_offset = message.offset() + 1;
            records.push(
                OutRecord::new(&self.state, Some(RETRY_POSITION_KEY.to_vec()), Some(partition.retry_offset.to_be_bytes().to_vec()))
                    .partition(number),
            );
            Origin::Retry
        };
        let mut effects = Effects::default();
        let outcome = match event {
            None => Ok(()),
            Some(Err(failure)) => Err(failure),
            Some(Ok(event)) => {
                let key = String::from_utf8_lossy(message.key().unwrap_or_default());
                let mut cause = || Cause::of(message);
                let step = Step { operator: &*self.operator, writer: &self.context.writer, input: &self.input, silent: false };
                if from_input {
                    let age = Timestamp::from(SystemTime::now()).since(self.operator.received_at(&event));
                    self.meters.lag_seconds.set(age.as_secs_f64());
                    self.meters.from_measured.observe(age.as_secs_f64());
                }
                partition.apply(&step, (&key, &event), origin, &mut cause, &mut effects)
            }
        };
        let poison = match outcome {
            Ok(()) => None,
            Err(Failure::Poison(poison)) => Some(poison),
            Err(failure) => return Err(failure),
        };
        self.limit.count(poison.is_some())?;
        if let Some(poison) = poison {
            Failure::Poison(poison.clone()).note(&self.input);
            records.push(dlq::letter(&self.context.kafka, O::STAGE, &Record::from_message(message), &poison));
        }
        if from_input {
            partition.next_offset = message.offset() + 1;
            self.uncommitted.insert(number);
        }
        records.append(&mut effects.outputs);
        for key in effects.announced {
            let snapshot = partition.snapshot(&key)?;
            records.push(OutRecord::new(&self.state, Some(key.into_bytes()), snapshot).partition(number));
        }
        Ok(())
    }

    /// Decodes; while the registry is out of reach, waits with everything paused.
    fn decode(&self, value: &[u8], member: &Member) -> Result<O::Event, Failure> {
        for attempt in 0.. {
            match decode_blocking::<O::Event>(&self.context.registry, &self.runtime, value) {
                Err(Failure::Transient(problem)) if !member.has_changes() => {
                    Failure::Transient(problem.clone()).note("decoding");
                    self.health.not_ready(problem);
                    self.health.beat();
                    member.wait(backoff(attempt, self.number as u64))?;
                }
                outcome => {
                    if attempt > 0 {
                        self.health.ready();
                    }
                    return outcome;
                }
            }
        }
        Err(Failure::transient("decoding"))
    }

    fn add_due_snapshots(&mut self, plan: &mut Plan) -> Result<(), Failure> {
        let (records, interval) = (self.context.config.snapshot_records, self.context.config.snapshot_interval);
        for (number, partition) in &mut self.partitions {
            if partition.snapshot_is_due(records, interval) {
                let out = plan.records.entry(*number).or_default();
                for (key, snapshot) in partition.snapshot_changed()? {
                    out.push(OutRecord::new(&self.state, Some(key.into_bytes()), snapshot).partition(*number));
                }
            }
        }
        Ok(())
    }

    /// Commits in a transaction when there is anything to write, else now and then and without one. After an abort the
    /// same bytes go out again for the partitions still owned: memory is ahead and cannot rewind.
    fn commit(&mut self, transactions: &Transactions, member: &Member, mut plan: Plan) -> Result<(), Failure> {
        plan.records.retain(|_, records| !records.is_empty());
        for attempt in 0.. {
            plan.records.retain(|number, _| self.partitions.contains_key(number));
            if plan.records.is_empty() {
                break;
            }
            let touched: Vec<i32> = plan.records.keys().copied().chain(self.uncommitted.iter().copied()).collect();
            let offsets = self.offsets(touched.into_iter())?;
            match transactions.commit(plan.records.values().flatten(), &offsets, member)? {
                Attempt::Committed => {
                    metrics::counter("fieldwatch_transactions", &[("stage", O::STAGE), ("outcome", "committed")]).inc();
                    let delivered = plan.records.values().flatten().filter(|record| record.topic != self.state);
                    for record in delivered {
                        metrics::counter("fieldwatch_messages_out", &[("topic", &record.topic)]).inc();
                    }
                    self.uncommitted.clear();
                    self.committed_at = Instant::now();
                    return Ok(());
                }
                Attempt::Aborted(error) => {
                    metrics::counter("fieldwatch_transactions", &[("stage", O::STAGE), ("outcome", "aborted")]).inc();
                    Failure::transient(format!("transaction aborted: {error}")).note(&self.input);
                    self.health.beat();
                    member.wait(backoff(attempt, self.number as u64))?;
                    self.follow_revocations(member);
                }
            }
        }
        if self.committed_at.elapsed() >= self.context.config.commit_interval {
            self.meters.keys.set(self.partitions.values().map(|partition| partition.keys.len()).sum::<usize>() as f64);
            self.commit_offsets(member, CommitMode::Async)?;
        }
        Ok(())
    }

    fn commit_offsets(&mut self, member: &Member, mode: CommitMode) -> Result<(), Failure> {
        self.committed_at = Instant::now();
        if self.uncommitted.is_empty() {
            return Ok(());
        }
        let offsets = self.offsets(self.uncommitted.iter().copied())?;
        match member.commit(&offsets, mode) {
            Ok(()) => self.uncommitted.clear(),
            Err(Failure::Fatal(problem)) => return Err(Failure::Fatal(problem)),
            // The next commit has them; until then a new owner would only replay more.
            Err(later) => later.note("committing offsets"),
        }
        Ok(())
    }

    fn offsets(&self, numbers: impl Iterator<Item = i32>) -> Result<TopicPartitionList, Failure> {
        let mut offsets = TopicPartitionList::new();
        for number in numbers.collect::<BTreeSet<_>>() {
            if let Some(partition) = self.partitions.get(&number) {
                let mut element = offsets.add_partition(&self.input, number);
                element.set_offset(Offset::Offset(partition.next_offset))?;
                element.set_metadata(partition.progress.to_metadata());
            }
        }
        Ok(offsets)
    }
}
