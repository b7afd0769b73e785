//! One worker thread: one consumer, one transactional producer, the state of its partitions.
//!
//! No transaction stays open across a wait. What a turn took is committed before the next turn, or is lost with its
//! partition: a revocation drops state and outputs of a partition together, and the next owner begins at what was
//! committed.

mod beside;
mod commit;
mod meters;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::time::{Duration, Instant};

use events::{Event, Timestamp, topics};
use meters::Meters;
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, CommitMode};
use rdkafka::message::{BorrowedMessage, Message};
use service::{HealthCheck, Shutdown};
use tokio::sync::watch;

use super::partition::{Origin, PartitionState, Step};
use super::restore::{Request, Restored, Restorer};
use super::state::{RETRY_POSITION_KEY, SILENT_SINCE_KEY};
use super::transaction::Transactions;
use super::wave::Wave;
use super::{Operator, OperatorContext, SourceChange};
use crate::consumer::{Change, Member, Polled};
use crate::decode::Decoder;
use crate::failure::backoff;
use crate::record::Cause;
use crate::{Failure, OutRecord, Record, dlq};

const POLL: Duration = Duration::from_millis(50);
/// An offset whose commit may have failed: committed again.
const UNKNOWN: i64 = -1;
/// A turn ends after so long even in a backlog: with its transaction, which costs milliseconds.
const TURN: Duration = Duration::from_millis(200);
/// The clock is asked once for so many records.
const TURN_LOOK: usize = 1_024;

/// How a session in the group ended.
enum Ended {
    Shutdown,
    /// Fenced: everything this worker held is another's by now, or will be restored from what was committed.
    Fenced,
}

/// Works until the shutdown; what was taken is committed then. A worker that was fenced begins anew, as another member
/// under another transactional id.
pub(crate) fn run<O: Operator>(
    operators: &watch::Receiver<Arc<O>>,
    context: &OperatorContext,
    number: usize,
    health: &HealthCheck,
    runtime: &tokio::runtime::Handle,
    shutdown: &Shutdown,
) -> Result<(), Failure> {
    while let Some(transactions) = reach_kafka::<O>(context, number, health, shutdown)? {
        let restorer = Restorer::<O>::new(context, runtime, shutdown)?;
        let (requests, asked) = mpsc::channel();
        let (answers, answered) = mpsc::channel();
        let ended = std::thread::scope(|scope| {
            scope.spawn(move || restorer.serve(&asked, &answers));
            let mut operators = operators.clone();
            let operator = operators.borrow_and_update().clone();
            let mut worker = Worker {
                operators,
                operator,
                context,
                number,
                health,
                decoder: Decoder::new(&context.registry, runtime),
                notices: Decoder::new(&context.registry, runtime),
                restores: Restores { requests, answered, assignment: 0, awaited: BTreeMap::new() },
                partitions: BTreeMap::new(),
                partitions_came: false,
                turn_begins: false,
                limit: dlq::Limit::new(context.config.dlq_limit),
                committed_at: Instant::now(),
                names: Names::of::<O>(context),
                meters: Meters::of::<O>(context),
            };
            worker.run(&transactions, shutdown)
        })?;
        if matches!(ended, Ended::Shutdown) {
            break;
        }
    }
    Ok(())
}

/// Kafka may not be there yet; that is no reason to die.
fn reach_kafka<O: Operator>(
    context: &OperatorContext,
    number: usize,
    health: &HealthCheck,
    shutdown: &Shutdown,
) -> Result<Option<Transactions>, Failure> {
    let transactional_id = context.kafka.prefixed(&format!("{}-{}-{number}", O::STAGE, uuid::Uuid::new_v4()));
    for attempt in 0.. {
        match Transactions::begin_with(&context.kafka, &transactional_id) {
            Ok(transactions) => return Ok(Some(transactions)),
            Err(Failure::Fatal(problem)) => return Err(Failure::Fatal(problem)),
            Err(later) => {
                later.note("reaching Kafka");
                health.not_ready(later.to_string());
                std::thread::sleep(backoff(attempt, number as u64));
            }
        }
        if shutdown.is_cancelled() {
            break;
        }
    }
    Ok(None)
}

struct Worker<'a, O: Operator> {
    operators: watch::Receiver<Arc<O>>,
    operator: Arc<O>,
    context: &'a OperatorContext,
    number: usize,
    health: &'a HealthCheck,
    decoder: Decoder<'a, O::Event>,
    notices: Decoder<'a, O::Notice>,
    restores: Restores<O>,
    partitions: BTreeMap<i32, Owned<O::State>>,
    /// Since topics beside the input were assigned last.
    partitions_came: bool,
    /// The next event is the first of its turn.
    turn_begins: bool,
    limit: dlq::Limit,
    committed_at: Instant,
    names: Names,
    meters: Meters,
}

/// A partition this worker owns.
struct Owned<S> {
    state: PartitionState<S>,
    /// To be written with the next transaction.
    pending: Vec<OutRecord>,
    committed_offset: i64,
    /// The assignment it came with: a partition may go and come back while a message of it waits.
    assignment: u64,
}

impl<S> Owned<S> {
    fn has_moved(&self) -> bool {
        self.state.next_offset != self.committed_offset || self.is_written_for()
    }

    fn is_written_for(&self) -> bool {
        !self.pending.is_empty()
    }
}

/// How a message came.
#[derive(Clone, Copy)]
enum Via {
    Input { prepared: bool },
    Retry,
}

/// A message that waits for others to be prepared with it.
struct Gathered<'m, E> {
    message: BorrowedMessage<'m>,
    key: String,
    event: Result<Option<E>, Failure>,
    assignment: u64,
}

/// Partitions on their way from another owner to this one.
struct Restores<O: Operator> {
    requests: Sender<Request<O>>,
    answered: Receiver<Result<Restored<O::State>, Failure>>,
    /// Number of the assignment made last.
    assignment: u64,
    /// Each with the assignment it is restored for.
    awaited: BTreeMap<i32, u64>,
}

struct Names {
    input: String,
    retry: String,
    notices: String,
    state: String,
}

impl Names {
    fn of<O: Operator>(context: &OperatorContext) -> Self {
        Self {
            input: context.kafka.prefixed(O::Event::SCHEMA.topic),
            retry: context.kafka.prefixed(&topics::retry(O::STAGE)),
            notices: context.kafka.prefixed(O::Notice::SCHEMA.topic),
            state: context.kafka.prefixed(&topics::state(O::STAGE)),
        }
    }
}

impl<O: Operator> Worker<'_, O> {
    fn run(&mut self, transactions: &Transactions, shutdown: &Shutdown) -> Result<Ended, Failure> {
        let kafka = &self.context.kafka;
        let beside = kafka
            .consumer(&format!("{}-beside", O::STAGE))?
            .set("group.id", kafka.prefixed(&format!("{}-beside", O::STAGE)))
            .create::<BaseConsumer>()?;
        let member = Member::join(kafka, O::STAGE, std::slice::from_ref(&self.names.input))?;
        self.health.not_ready("waits to hear which partitions are its own");
        while !shutdown.is_cancelled() {
            self.health.beat();
            self.follow_operator()?;
            self.follow_changes(&member)?;
            self.take_restored(&member)?;
            if std::mem::take(&mut self.partitions_came) {
                self.assign_beside(&beside)?;
            }
            let waits = self.partitions.values().any(Owned::has_moved);
            let wait = if waits { POLL.min(self.context.config.commit_interval) } else { POLL };
            let started = self.take_turn(&member, wait)?;
            self.take_beside(&member, &beside)?;
            self.judge_silence()?;
            if !self.commit(transactions, &member)? {
                return Ok(Ended::Fenced);
            }
            if let Some(started) = started {
                self.meters.processing.observe(started.elapsed().as_secs_f64());
            }
        }
        self.commit_offsets(&member, CommitMode::Sync)?;
        Ok(Ended::Shutdown)
    }

    /// Takes what is there, up to the limit of a turn; returns when the first message came.
    fn take_turn(&mut self, member: &Member, mut wait: Duration) -> Result<Option<Instant>, Failure> {
        let mut started = None;
        let mut taken = 0;
        let mut wave = Wave::default();
        while taken < self.context.config.max_poll_records {
            match member.poll(wait)? {
                Polled::Message(message) => {
                    if started.is_none() {
                        let now = Instant::now();
                        self.partitions.values_mut().for_each(|owned| owned.state.now = now);
                        started = Some(now);
                        self.turn_begins = true;
                    }
                    taken += 1;
                    if O::BATCH > 1 {
                        self.gather(message, &mut wave, member)?;
                    } else {
                        self.take(&message, Via::Input { prepared: false }, member)?;
                    }
                }
                Polled::End(partition) => {
                    if let Some(owned) = self.partitions.get_mut(&partition) {
                        owned.state.at_end.get_or_insert_with(Instant::now);
                    }
                }
                Polled::Nothing => break,
            }
            if taken % TURN_LOOK == 0 && started.is_some_and(|started: Instant| started.elapsed() >= TURN) {
                break;
            }
            wait = Duration::ZERO;
        }
        self.end_wave(&mut wave)?;
        self.meters.taken.inc_by(taken as u64);
        self.follow_revocations(member);
        Ok(started)
    }

    /// A new operator takes over: every key is brought in line with it.
    fn follow_operator(&mut self) -> Result<(), Failure> {
        if self.operators.has_changed().unwrap_or(false) {
            self.operator = Arc::clone(&self.operators.borrow_and_update());
            let step = Step::new(&*self.operator, &self.context.writer, &self.names.input);
            for owned in self.partitions.values_mut() {
                owned.state.reconcile(&step, &mut owned.pending)?;
            }
        }
        Ok(())
    }

    fn follow_changes(&mut self, member: &Member) -> Result<(), Failure> {
        for change in member.changes() {
            match change {
                Change::Revoked(revoked) => self.drop_partitions(&revoked),
                Change::Assigned(assigned) => {
                    self.restores.assignment += 1;
                    let (assignment, operator) = (self.restores.assignment, Arc::clone(&self.operator));
                    let partitions: Vec<i32> = assigned.iter().map(|(_, partition)| *partition).collect();
                    self.health.not_ready(format!("{} partitions are being restored", partitions.len()));
                    self.restores.awaited.extend(partitions.iter().map(|partition| (*partition, assignment)));
                    if self.restores.requests.send(Request { assignment, operator, partitions }).is_err() {
                        return Err(Failure::fatal("the restoring thread has ended"));
                    }
                }
            }
        }
        Ok(())
    }

    /// Revocations are followed at once, so that nothing more is done for a partition that is gone; assignments wait
    /// for the next turn.
    fn follow_revocations(&mut self, member: &Member) {
        if member.has_changes() {
            let revoked = member.take_revoked();
            self.drop_partitions(&revoked);
        }
    }

    fn drop_partitions(&mut self, revoked: &[(String, i32)]) {
        for (_, partition) in revoked {
            self.partitions.remove(partition);
            self.restores.awaited.remove(partition);
        }
        self.meters.owned.set(self.partitions.len() as f64);
    }

    /// Starts the partitions that are restored by now. The group waits for that, also where there are none.
    fn take_restored(&mut self, member: &Member) -> Result<(), Failure> {
        let restored = match self.restores.answered.try_recv() {
            Ok(restored) => restored?,
            Err(TryRecvError::Empty) => return Ok(()),
            Err(TryRecvError::Disconnected) => return Err(Failure::fatal("the restoring thread has ended")),
        };
        let step = Step::new(&*self.operator, &self.context.writer, &self.names.input);
        let mut starts = Vec::with_capacity(restored.partitions.len());
        for (mut state, mut pending) in restored.partitions {
            let number = state.number;
            if self.restores.awaited.get(&number) != Some(&restored.assignment) {
                continue;
            }
            self.restores.awaited.remove(&number);
            state.reconcile(&step, &mut pending)?;
            starts.push(((self.names.input.clone(), number), Offset::Offset(state.next_offset)));
            self.partitions.insert(number, Owned { state, pending, committed_offset: UNKNOWN, assignment: restored.assignment });
        }
        member.start(&starts)?;
        // What was committed while the group changed may have been refused, and nobody is told.
        self.partitions.values_mut().for_each(|owned| owned.committed_offset = UNKNOWN);
        self.meters.owned.set(self.partitions.len() as f64);
        self.partitions_came = true;
        self.ready_if_restored();
        Ok(())
    }

    fn ready_if_restored(&self) {
        if self.restores.awaited.is_empty() {
            self.health.ready();
        }
    }

    /// Takes a message of the input into the wave of those that are prepared together.
    fn gather<'m>(
        &mut self,
        message: BorrowedMessage<'m>,
        wave: &mut Wave<Gathered<'m, O::Event>>,
        member: &Member,
    ) -> Result<(), Failure> {
        let event = self.read(&message, member);
        let key = String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned();
        let number = message.partition();
        let Some(assignment) = self.assignment(number) else { return Ok(()) };
        if let Ok(Some(decoded)) = &event {
            let at = self.operator.received_at(decoded);
            if !self.partitions.get(&number).is_some_and(|owned| wave.admits::<O>(&owned.state, &key, at)) {
                self.end_wave(wave)?;
            }
            // Its timers run first.
            if self.partitions.get(&number).is_some_and(|owned| owned.state.has_due(at)) {
                return self.work_on(&message, event, Via::Input { prepared: false });
            }
        }
        wave.push(number, &key, Gathered { message, key: key.clone(), event, assignment });
        Ok(())
    }

    /// The batch step for all of the wave, then each of its events.
    fn end_wave(&mut self, wave: &mut Wave<Gathered<'_, O::Event>>) -> Result<(), Failure> {
        let mut gathered = wave.end();
        gathered.retain(|one| self.assignment(one.message.partition()) == Some(one.assignment));
        let (mut lent, mut batch) = (Vec::with_capacity(gathered.len()), Vec::with_capacity(gathered.len()));
        for Gathered { message, key, event, .. } in &gathered {
            if let (Ok(Some(event)), Some(owned)) = (event, self.partitions.get_mut(&message.partition())) {
                lent.push((message.partition(), key));
                batch.push((event, owned.state.lend(key)));
            }
        }
        self.operator.prepare(&mut batch)?;
        for ((number, key), (_, state)) in lent.into_iter().zip(batch) {
            if let Some(owned) = self.partitions.get_mut(&number) {
                owned.state.take_back(key, state);
            }
        }
        for Gathered { message, event, .. } in gathered {
            self.work_on(&message, event, Via::Input { prepared: true })?;
        }
        Ok(())
    }

    /// Processes one message alone.
    fn take(&mut self, message: &BorrowedMessage<'_>, via: Via, member: &Member) -> Result<(), Failure> {
        let event = self.read(message, member);
        self.work_on(message, event, via)
    }

    /// Decodes a message. Transient: its partition is another's by now, or came back and begins anew.
    fn read(&mut self, message: &BorrowedMessage<'_>, member: &Member) -> Result<Option<O::Event>, Failure> {
        let event = message.payload().map(|value| self.decode(message, value, member)).transpose();
        self.follow_revocations(member);
        event
    }

    fn assignment(&self, number: i32) -> Option<u64> {
        self.partitions.get(&number).map(|owned| owned.assignment)
    }

    fn work_on(&mut self, message: &BorrowedMessage<'_>, event: Result<Option<O::Event>, Failure>, via: Via) -> Result<(), Failure> {
        if matches!(event, Err(Failure::Transient(_))) {
            return Ok(());
        }
        let number = message.partition();
        let Some(Owned { state, pending, .. }) = self.partitions.get_mut(&number) else { return Ok(()) };
        let mut step = Step::new(&*self.operator, &self.context.writer, &self.names.input);
        let origin = match via {
            Via::Input { prepared } => {
                if message.offset() < state.next_offset {
                    return Ok(());
                }
                state.at_end = None;
                step.prepared = prepared;
                Origin::Input { offset: message.offset() }
            }
            Via::Retry => {
                state.retry_offset = message.offset() + 1;
                pending.push(own_record(&self.names.state, number, RETRY_POSITION_KEY, Some(state.retry_offset)));
                Origin::Retry
            }
        };
        let outcome = match event {
            Ok(None) => Ok(()),
            Err(failure) => Err(failure),
            Ok(Some(event)) => {
                let at = self.operator.received_at(&event);
                if std::mem::take(&mut self.turn_begins) {
                    self.meters.age(at);
                }
                if origin != Origin::Retry
                    && let Some(since) = state.silent_since.take()
                {
                    pending.push(own_record(&self.names.state, number, SILENT_SINCE_KEY, None));
                    state.source(&step, SourceChange::Speaks { partition: number, since, at }, pending)?;
                }
                let key = String::from_utf8_lossy(message.key().unwrap_or_default());
                state.apply(&step, (&key, &event), origin, &mut || Cause::of(message), pending)
            }
        };
        if let Origin::Input { offset } = origin {
            state.next_offset = offset + 1;
        }
        self.settle(message, outcome)
    }

    /// Poison becomes a dead letter in the same transaction.
    fn settle(&mut self, message: &BorrowedMessage<'_>, outcome: Result<(), Failure>) -> Result<(), Failure> {
        match outcome {
            Ok(()) => self.limit.count(false),
            Err(Failure::Poison(poison)) => {
                Failure::Poison(poison.clone()).note(message.topic());
                if let Some(Owned { pending, .. }) = self.partitions.get_mut(&message.partition()) {
                    pending.push(dlq::letter(&self.context.kafka, O::STAGE, &Record::from_message(message), &poison));
                }
                self.limit.count(true)
            }
            Err(failure) => Err(failure),
        }
    }

    fn decode(&mut self, message: &BorrowedMessage<'_>, value: &[u8], member: &Member) -> Result<O::Event, Failure> {
        match self.decoder.decode(value) {
            Err(Failure::Transient(problem)) => {
                self.until_decoded(message.partition(), member, problem, |worker| worker.decoder.decode(value))
            }
            outcome => outcome,
        }
    }

    /// A registry out of reach is waited for while the partition is owned: all are paused, the group goes on.
    #[cold]
    fn until_decoded<E>(
        &mut self,
        number: i32,
        member: &Member,
        mut problem: String,
        mut decode: impl FnMut(&mut Self) -> Result<E, Failure>,
    ) -> Result<E, Failure> {
        let held = self.assignment(number);
        for attempt in 0.. {
            Failure::transient(&problem).note("decoding");
            self.health.not_ready(problem);
            self.health.beat();
            let until = Instant::now() + backoff(attempt, self.number as u64);
            while Instant::now() < until {
                member.wait(POLL)?;
                self.follow_changes(member)?;
                self.take_restored(member)?;
                if self.assignment(number) != held {
                    return Err(Failure::transient("the partition is another's"));
                }
            }
            problem = match decode(self) {
                Err(Failure::Transient(problem)) => problem,
                outcome => {
                    self.ready_if_restored();
                    return outcome;
                }
            };
        }
        Err(Failure::transient("decoding"))
    }

    /// A partition that was at its end for as long as its source may be silent says so, once.
    fn judge_silence(&mut self) -> Result<(), Failure> {
        let patience = self.context.config.source_silence;
        if patience.is_zero() {
            return Ok(());
        }
        let step = Step::new(&*self.operator, &self.context.writer, &self.names.input);
        for (number, Owned { state, pending, .. }) in &mut self.partitions {
            let silent = state.at_end.is_some_and(|at_end| at_end.elapsed() >= patience);
            if silent && state.silent_since.is_none() && state.time > Timestamp::MIN {
                let since = state.time;
                state.silent_since = Some(since);
                pending.push(own_record(&self.names.state, *number, SILENT_SINCE_KEY, Some(since.as_micros())));
                state.source(&step, SourceChange::Silent { partition: *number, since }, pending)?;
            }
        }
        Ok(())
    }
}

/// A record of the runtime's own in the state topic: a number, or nothing.
fn own_record(topic: &str, partition: i32, key: &[u8], number: Option<i64>) -> OutRecord {
    OutRecord::new(topic, Some(key.to_vec()), number.map(|number| number.to_be_bytes().to_vec())).partition(partition)
}
