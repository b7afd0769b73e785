//! What an operator says in answer to an event, a timer or a new configuration.

use std::collections::HashMap;

use events::Event;
use telemetry::span::{MessageSpan, Operation};

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
    announced: bool,
}

impl<'a> Outputs<'a> {
    pub(crate) fn new(
        writer: &'a EventWriter,
        input: &'a str,
        cause: &'a mut dyn FnMut() -> Cause,
        records: &'a mut Vec<OutRecord>,
        tallies: &'a mut Tallies,
    ) -> Self {
        Self { writer, input, cause, known: None, records, tallies, announced: false }
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
        self.announced = true;
        Ok(())
    }

    /// How many keys of this partition count into `name`. What is decided by it depends on other keys, so that replaying
    /// this key alone could not decide it again: the key is snapshotted with the present transaction.
    pub fn tally(&mut self, name: &str) -> i64 {
        self.announced = true;
        self.tallies.get(name).copied().unwrap_or_default()
    }

    /// Counts this key into `name` (+1), or out of it (-1).
    pub fn adjust(&mut self, name: &str, by: i64) {
        *self.tallies.entry(name.to_owned()).or_default() += by;
    }

    /// Whether the key has to be snapshotted with the present transaction.
    pub(crate) fn announced(&self) -> bool {
        self.announced
    }
}
