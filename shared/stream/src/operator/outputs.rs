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

#[cfg(test)]
mod tests {
    use events::codec::SchemaId;
    use events::trace::TraceContext;
    use events::{DeviceState, DeviceStatus, headers};
    use rdkafka::message::Headers as _;

    use super::*;
    use crate::KafkaConfig;

    fn cause(of: &str) -> Cause {
        Cause { event_id: Some(of.into()), correlation_id: Some(format!("first of {of}")), trace: None }
    }

    fn correlation(record: &OutRecord) -> &str {
        let mut headers = record.headers().unwrap().iter();
        let found = headers.find(|header| header.key == headers::CORRELATION_ID).unwrap();
        std::str::from_utf8(found.value.unwrap()).unwrap()
    }

    #[test]
    fn what_is_said_names_what_led_to_it() {
        let writer = EventWriter::new("test", &KafkaConfig::plain("")).with_id::<DeviceStatus>(SchemaId(1)).unwrap();
        let (step, mut records, mut tallies) = (Step::new(&(), &writer, "readings"), Vec::new(), Tallies::new());
        let (mut asked, now) = (0, Timestamp::from_micros(7));
        let mut heard = || {
            asked += 1;
            cause("reading")
        };
        let mut outputs = Outputs::new(&step, &mut heard, &mut records, &mut tallies, now);
        let status = DeviceStatus {
            tenant: "default".into(),
            device_id: "sensor-1".into(),
            state: DeviceState::Online,
            reason: "birth".into(),
            changed_at: outputs.now(),
        };
        outputs.emit(&status).unwrap();
        outputs.emit_because(&cause("timer"), &status).unwrap();
        assert_eq!(outputs.cause(), cause("reading"));
        assert_eq!((asked, status.changed_at), (1, now));
        assert_eq!(records.iter().map(correlation).collect::<Vec<_>>(), ["first of reading", "first of timer"]);
    }

    /// What is said has to be seen: not in a trace that nobody keeps.
    #[test]
    fn a_state_keeps_the_trace_that_is_continued_and_not_the_one_that_came() {
        let writer = EventWriter::new("test", &KafkaConfig::plain(""));
        let (step, mut records, mut tallies) = (Step::new(&(), &writer, "readings"), Vec::new(), Tallies::new());
        let unsampled = TraceContext { trace_id: 1, span_id: 2, sampled: false, state: None };
        let mut heard = || Cause { trace: Some(unsampled.clone()), ..cause("reading") };
        let kept = Outputs::new(&step, &mut heard, &mut records, &mut tallies, Timestamp::MIN).cause();
        assert_eq!(kept.event_id.as_deref(), Some("reading"));
        assert_ne!(kept.trace, Some(unsampled));
    }

    #[test]
    fn a_tally_is_what_was_counted_and_forbids_everything_in_a_replay() {
        let writer = EventWriter::new("test", &KafkaConfig::plain(""));
        let (mut records, mut tallies, mut no_cause) = (Vec::new(), Tallies::new(), Cause::default);
        let step = Step::new(&(), &writer, "readings");
        let mut outputs = Outputs::new(&step, &mut no_cause, &mut records, &mut tallies, Timestamp::MIN);
        for by in [1, 1, 1, -1, 1] {
            outputs.adjust("busy", by);
        }
        assert_eq!((outputs.tally("busy"), outputs.tally("other")), (3, 0));
        let replay = Step { replaying: true, ..step };
        assert_eq!(Outputs::new(&replay, &mut no_cause, &mut records, &mut tallies, Timestamp::MIN).tally("busy"), i64::MAX);
    }
}
