//! What an operator says in answer to an event, a timer or a new configuration.

use std::collections::HashMap;

use events::{Event, Timestamp};
use telemetry::span::{MessageSpan, Operation};

use super::partition::Step;
use crate::record::Cause;
use crate::{EventWriter, Failure, OutRecord};

/// Counts over all keys of a partition, by name.
pub(crate) type Tallies = HashMap<String, i64>;

/// Takes what an operator says, in order.
pub struct Outputs<'a> {
    writer: &'a EventWriter,
    input: &'a str,
    cause: &'a mut dyn FnMut() -> Cause,
    known: Option<(Cause, MessageSpan)>,
    records: &'a mut Vec<OutRecord>,
    tallies: &'a mut Tallies,
    replaying: bool,
    now: Timestamp,
}

impl<'a> Outputs<'a> {
    pub(crate) fn new<O>(
        step: &'a Step<'_, O>,
        cause: &'a mut dyn FnMut() -> Cause,
        records: &'a mut Vec<OutRecord>,
        tallies: &'a mut Tallies,
        now: Timestamp,
    ) -> Self {
        let Step { writer, input, replaying, .. } = *step;
        Self { writer, input, cause, known: None, records, tallies, replaying, now }
    }

    /// The partition's time, or the due time of the timer that runs; to an operator by the wall clock: when this turn began.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The cause of what is said later in answer to this call; a state may keep it.
    pub fn cause(&mut self) -> Cause {
        let (cause, span) = self.known();
        Cause { trace: span.context(), ..cause.clone() }
    }

    /// Sends an event that something earlier led to, and continues its trace.
    pub fn emit_because<E: Event>(&mut self, cause: &Cause, event: &E) -> Result<(), Failure> {
        let span = MessageSpan::start_sampled(Operation::Process, self.input, cause.trace.as_ref());
        let record = self.writer.record(event, cause, span.context())?;
        self.records.push(record);
        Ok(())
    }

    /// Sends an event. It continues the input's trace; whatever is sent is worth a sampled trace.
    pub fn emit<E: Event>(&mut self, event: &E) -> Result<(), Failure> {
        let writer = self.writer;
        let (cause, span) = self.known();
        let record = writer.record(event, cause, span.context())?;
        self.records.push(record);
        Ok(())
    }

    fn known(&mut self) -> &(Cause, MessageSpan) {
        let (input, cause) = (self.input, &mut self.cause);
        self.known.get_or_insert_with(|| {
            let cause = cause();
            let span = MessageSpan::start_sampled(Operation::Process, input, cause.trace.as_ref());
            (cause, span)
        })
    }

    /// How many keys of this partition count into `name`; `i64::MAX` while replaying. Ask only before saying something
    /// that a high tally forbids: what was said then is in a snapshot, so that a replay meets only what was forbidden.
    pub fn tally(&self, name: &str) -> i64 {
        if self.replaying { i64::MAX } else { self.tallies.get(name).copied().unwrap_or_default() }
    }

    /// Counts this key into `name` (+1), or out of it (-1).
    pub fn adjust(&mut self, name: &str, by: i64) {
        *self.tallies.entry(name.to_owned()).or_default() += by;
    }
}
