//! An operator with everything a state can have: timers that move, a tally over keys, states that end, a configuration.

use std::time::Duration;

use events::{Reading, Timestamp};
use serde::{Deserialize, Serialize};
use stream::Failure;
use stream::operator::{NoNotice, Operator, Outputs, SourceChange, State};

use crate::operator::{STAGE, status};

/// A device is busy with its fourth reading, and quiet after a silence of a minute.
pub(crate) struct Busy {
    /// Devices of other names are not watched.
    pub(crate) watched: &'static str,
    /// How many of a partition are said to be busy at a time, if that is limited.
    pub(crate) most: Option<i64>,
}

#[derive(Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Work {
    readings: u64,
    last: Option<Timestamp>,
    /// Busy, and whether that was said.
    busy: Option<bool>,
}

impl State for Work {
    const FORMAT: u8 = 1;

    fn is_idle(&self) -> bool {
        *self == Self::default()
    }
}

impl Busy {
    fn end(key: &str, reason: &str, at: Timestamp, state: &mut Work, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        if std::mem::take(state).busy == Some(true) {
            outputs.adjust("busy", -1);
            outputs.emit(&status(key, reason.to_owned(), at))?;
        }
        Ok(())
    }
}

impl Operator for Busy {
    type Event = Reading;
    type Notice = NoNotice;
    type State = Work;

    const STAGE: &'static str = STAGE;

    fn received_at(&self, reading: &Reading) -> Timestamp {
        reading.received_at
    }

    fn on_event(&self, key: &str, reading: &Reading, state: &mut Work, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        if !key.starts_with(self.watched) {
            return Ok(());
        }
        state.readings += 1;
        state.last = Some(reading.received_at);
        if state.readings == 4 {
            let room = self.most.is_none_or(|most| outputs.tally("busy") < most);
            state.busy = Some(room);
            if room {
                outputs.adjust("busy", 1);
                outputs.emit(&status(key, "busy".into(), reading.received_at))?;
            }
        }
        Ok(())
    }

    fn due(&self, state: &Work) -> Option<Timestamp> {
        state.last.map(|last| last.saturating_add(Duration::from_mins(1)))
    }

    fn on_time(&self, key: &str, now: Timestamp, state: &mut Work, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        Self::end(key, "quiet", now, state, outputs)
    }

    fn reconcile(&self, key: &str, now: Timestamp, state: &mut Work, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        if key.starts_with(self.watched) { Ok(()) } else { Self::end(key, "not watched", now, state, outputs) }
    }

    fn tally(&self, state: &Work, each: &mut dyn FnMut(&str)) {
        if state.busy == Some(true) {
            each("busy");
        }
    }

    fn on_source(&self, change: SourceChange, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        match change {
            SourceChange::Silent { partition, since } => outputs.emit(&status(&format!("partition-{partition}"), "silent".into(), since)),
            SourceChange::Speaks { partition, at, .. } => outputs.emit(&status(&format!("partition-{partition}"), "speaks".into(), at)),
        }
    }
}
