//! What an operator says in answer to an event, a timer or a new configuration.

use std::collections::HashMap;

use events::Event;
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
}

impl<'a> Outputs<'a> {
    pub(crate) fn new<O>(
        step: &'a Step<'_, O>,
        cause: &'a mut dyn FnMut() -> Cause,
        records: &'a mut Vec<OutRecord>,
        tallies: &'a mut Tallies,
    ) -> Self {
        let Step { writer, input, replaying, .. } = *step;
        Self { writer, input, cause, known: None, records, tallies, replaying }
    }

    /// Sends an event. It continues the input's trace; whatever is sent is worth a sampled trace.
    pub fn emit<E: Event>(&mut self, event: &E) -> Result<(), Failure> {
        let (writer, input) = (self.writer, self.input);
        let cause = &mut self.cause;
        let (cause, span) = self.known.get_or_insert_with(|| {
            let cause = cause();
            let span = MessageSpan::start_sampled(Operation::Process, input, cause.trace.as_ref());
            (cause, span)
        });
        let record = writer.record(event, cause, span.context())?;
        self.records.push(record);
        Ok(())
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
