//! What a turn takes: messages decoded, prepared together where the operator wants that, and worked on in their order.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use rdkafka::message::{BorrowedMessage, Message};

use super::{Owned, POLL, Worker, own_record};
use crate::consumer::{Member, Polled};
use crate::failure::backoff;
use crate::operator::partition::{Origin, Step};
use crate::operator::state::{RETRY_POSITION_KEY, SILENT_SINCE_KEY};
use crate::operator::wave::{Wave, prepare};
use crate::operator::{Operator, SourceChange};
use crate::record::Cause;
use crate::{Failure, Record, dlq};

/// A turn ends after so long even in a backlog: with its transaction, which costs milliseconds.
const TURN: Duration = Duration::from_millis(200);
/// The clock is asked once for so many records.
const TURN_LOOK: usize = 1_024;

/// How a message came.
#[derive(Clone, Copy)]
pub(super) enum Via {
    Input { prepared: bool },
    Retry,
}

/// A message that waits for others to be prepared with it.
struct Gathered<'m, E> {
    message: BorrowedMessage<'m>,
    event: Result<Option<E>, Failure>,
    assignment: u64,
}

impl<O: Operator> Worker<'_, O> {
    /// Takes what is there, up to the limit of a turn; returns when the first message came.
    pub(super) fn take_turn(&mut self, member: &Member, mut wait: Duration) -> Result<Option<Instant>, Failure> {
        let mut started = None;
        let mut taken = 0;
        let mut wave = Wave::default();
        while taken < self.context.config.max_poll_records {
            match member.poll(wait)? {
                Polled::Message(message) => {
                    if started.is_none() {
                        let now = Instant::now();
                        self.partitions.values_mut().for_each(|owned| owned.state.now = now);
                        self.tell_time();
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

    /// Takes a message of the input into the wave of those that are prepared together.
    fn gather<'m>(
        &mut self,
        message: BorrowedMessage<'m>,
        wave: &mut Wave<Gathered<'m, O::Event>>,
        member: &Member,
    ) -> Result<(), Failure> {
        let event = self.read(&message, member);
        let number = message.partition();
        let Some(assignment) = self.assignment(number) else { return Ok(()) };
        let mark = wave.mark(number, &key_of(&message));
        if let Ok(Some(decoded)) = &event {
            let at = self.operator.received_at(decoded);
            if !self.partitions.get(&number).is_some_and(|owned| wave.admits::<O>(&owned.state, mark, at)) {
                self.end_wave(wave)?;
            }
            // Its timers run first.
            if self.partitions.get(&number).is_some_and(|owned| owned.state.has_due(at)) {
                return self.work_on(&message, event, Via::Input { prepared: false });
            }
        }
        wave.push(mark, Gathered { message, event, assignment });
        Ok(())
    }

    /// The batch step for all of the wave, then each of its events.
    fn end_wave(&mut self, wave: &mut Wave<Gathered<'_, O::Event>>) -> Result<(), Failure> {
        let mut gathered = wave.end();
        gathered.retain(|one| self.assignment(one.message.partition()) == Some(one.assignment));
        let keys: Vec<_> = gathered.iter().map(|one| key_of(&one.message)).collect();
        let events = gathered.iter().zip(&keys).filter_map(|(one, key)| {
            let event = one.event.as_ref().ok()?.as_ref()?;
            Some((one.message.partition(), &**key, event))
        });
        prepare(&*self.operator, &mut self.partitions, |partitions, number| Some(&mut partitions.get_mut(&number)?.state), events)?;
        for Gathered { message, event, .. } in gathered {
            self.work_on(&message, event, Via::Input { prepared: true })?;
        }
        Ok(())
    }

    /// Processes one message alone.
    pub(super) fn take(&mut self, message: &BorrowedMessage<'_>, via: Via, member: &Member) -> Result<(), Failure> {
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
                let key = key_of(message);
                state.apply(&step, (&key, &event), origin, &mut || Cause::of(message), pending)
            }
        };
        if let Origin::Input { offset } = origin {
            state.next_offset = offset + 1;
        }
        self.settle(message, outcome)
    }

    /// Poison becomes a dead letter in the same transaction.
    pub(super) fn settle(&mut self, message: &BorrowedMessage<'_>, outcome: Result<(), Failure>) -> Result<(), Failure> {
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
    pub(super) fn until_decoded<E>(
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
}

pub(super) fn key_of<'m>(message: &'m BorrowedMessage<'_>) -> Cow<'m, str> {
    String::from_utf8_lossy(message.key().unwrap_or_default())
}
