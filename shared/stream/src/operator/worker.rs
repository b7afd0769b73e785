//! One worker thread: one consumer, a pair of transactional producers, the state of its partitions.
//!
//! No transaction stays open across a wait. What a turn took is committed before the next turn, or is lost with its
//! partition: a revocation drops state and outputs of a partition together, and the next owner begins at what was
//! committed.

mod beside;
mod clock;
mod commit;
mod meters;
mod ownership;
mod taking;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use events::{Event, Timestamp, topics};
use meters::Meters;
use ownership::Restores;
use rdkafka::consumer::CommitMode;
use service::{HealthCheck, Shutdown};
use tokio::sync::watch;

use super::partition::{PartitionState, Step};
use super::restore::Restorer;
use super::state::SILENT_SINCE_KEY;
use super::transaction::Transactions;
use super::{Operator, OperatorContext, SourceChange};
use crate::bootstrap::Bootstrap;
use crate::consumer::Member;
use crate::decode::Decoder;
use crate::failure::backoff;
use crate::{Failure, OutRecord, dlq};

const POLL: Duration = Duration::from_millis(50);
/// An offset whose commit may have failed: committed again.
const UNKNOWN: i64 = -1;

/// How a session in the group ended.
enum Ended {
    Shutdown,
    /// Fenced: everything this worker held is another's by now, or will be restored from what was committed.
    Fenced,
}

/// Works until the shutdown; what was taken is committed then. A worker that was fenced begins anew, as another member
/// under other transactional ids.
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
        if shutdown.is_cancelled() {
            break;
        }
        match Transactions::begin_with(&context.kafka, &transactional_id) {
            Ok(transactions) => return Ok(Some(transactions)),
            Err(Failure::Fatal(problem)) => return Err(Failure::Fatal(problem)),
            Err(later) => {
                later.note("reaching Kafka");
                health.not_ready(later.to_string());
                std::thread::sleep(backoff(attempt, number as u64));
            }
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
    /// The end of the notices when it came; not asked yet, or not needed.
    notices_until: Option<i64>,
    /// Its input waits until those are heard.
    held: bool,
}

impl<S> Owned<S> {
    fn has_moved(&self) -> bool {
        self.state.next_offset != self.committed_offset || self.is_written_for()
    }

    fn is_written_for(&self) -> bool {
        !self.pending.is_empty()
    }
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
        let name = format!("{}-beside", O::STAGE);
        let beside = Bootstrap::consumer(Bootstrap::watch(&mut kafka.consumer(&name)?).set("group.id", kafka.prefixed(&name)))?;
        let member = Member::join(kafka, O::STAGE, std::slice::from_ref(&self.names.input), self.context.config.gather)?;
        self.health.not_ready("waits to hear which partitions are its own");
        while !shutdown.is_cancelled() {
            self.health.beat();
            self.follow_operator()?;
            self.follow_changes(&member)?;
            self.take_restored(&member)?;
            if std::mem::take(&mut self.partitions_came) {
                self.assign_beside(&beside)?;
            }
            let started = self.take_turn(&member, self.wait())?;
            self.tell_time();
            self.take_beside(&member, &beside)?;
            self.release_heard(&member)?;
            self.run_timers()?;
            self.judge_silence()?;
            if !self.commit(transactions, &member)? {
                return Ok(Ended::Fenced);
            }
            if let Some(started) = started {
                self.meters.processing.observe(started.elapsed().as_secs_f64());
            } else if self.partitions.values().all(|owned| owned.state.at_end.is_some()) {
                self.meters.lag_seconds.set(0.0);
            }
        }
        self.commit_offsets(&member, CommitMode::Sync)?;
        Ok(Ended::Shutdown)
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
