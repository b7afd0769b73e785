//! One partition's state: its keys, timers and time, and how an event moves them. No I/O.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use events::Timestamp;

use super::state::{State, encode_snapshot};
use super::{Operator, Outputs};
use crate::record::Cause;
use crate::{EventWriter, Failure, OutRecord};

/// Where a committed partition stands; travels as the metadata of the committed offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// From here on the input must be replayed to rebuild memory.
    pub(crate) replay_from: i64,
    /// The partition's time there.
    pub(crate) replay_time: Timestamp,
    /// The partition's time now: the highest `received_at` seen.
    pub(crate) time: Timestamp,
}

impl Progress {
    pub(crate) fn to_metadata(self) -> String {
        format!("v1 replay_from={} replay_time={} time={}", self.replay_from, self.replay_time.as_micros(), self.time.as_micros())
    }

    pub(crate) fn from_metadata(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        if words.next() != Some("v1") {
            return None;
        }
        let mut number = |name: &str| words.next()?.strip_prefix(name)?.parse().ok();
        let replay_from = number("replay_from=")?;
        let [replay_time, time] = [number("replay_time=")?, number("time=")?].map(Timestamp::from_micros);
        Some(Self { replay_from, replay_time, time })
    }
}

/// A key with its state's bytes, or nothing: a tombstone.
type Snapshot = (String, Option<Vec<u8>>);

pub(crate) struct Entry<S> {
    pub(crate) state: S,
    /// Next input offset the state reflects.
    pub(crate) next_offset: i64,
    dirty: bool,
    due: Option<Timestamp>,
}

pub(crate) struct PartitionState<S> {
    pub(crate) number: i32,
    pub(crate) keys: HashMap<String, Entry<S>>,
    timers: BTreeSet<(Timestamp, String)>,
    pub(crate) progress: Progress,
    /// Next input offset to process.
    pub(crate) next_offset: i64,
    /// Next offset of the retry topic.
    pub(crate) retry_offset: i64,
    snapshotted_at: Instant,
    snapshotted_offset: i64,
}

/// Where an event came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Input {
        offset: i64,
    },
    /// Redriven: not part of the input log, so its effect is snapshotted at once.
    Retry,
}

/// What every step of a partition needs besides its state.
pub(crate) struct Step<'a, O> {
    pub(crate) operator: &'a O,
    pub(crate) writer: &'a EventWriter,
    /// The input topic.
    pub(crate) input: &'a str,
    /// Replaying: nothing is said.
    pub(crate) silent: bool,
}

impl<O> Step<'_, O> {
    fn outputs<'c>(&'c self, cause: &'c mut dyn FnMut() -> Cause) -> Outputs<'c> {
        Outputs::new(self.writer, self.input, cause, self.silent)
    }
}

/// What an event led to.
#[derive(Default)]
pub(crate) struct Effects {
    pub(crate) outputs: Vec<OutRecord>,
    /// Keys to snapshot in the transaction of the outputs.
    pub(crate) announced: BTreeSet<String>,
}

impl<S: State> PartitionState<S> {
    pub(crate) fn new(number: i32, start: i64) -> Self {
        Self {
            number,
            keys: HashMap::new(),
            timers: BTreeSet::new(),
            progress: Progress { replay_from: start, replay_time: Timestamp::MIN, time: Timestamp::MIN },
            next_offset: start,
            retry_offset: 0,
            snapshotted_at: Instant::now(),
            snapshotted_offset: start,
        }
    }

    /// Takes a key over from its snapshot.
    pub(crate) fn restore(&mut self, key: String, snapshot: Option<(S, i64)>, due: Option<Timestamp>) {
        if let Some(old) = self.keys.remove(&key)
            && let Some(at) = old.due
        {
            self.timers.remove(&(at, key.clone()));
        }
        if let Some((state, next_offset)) = snapshot {
            if let Some(at) = due {
                self.timers.insert((at, key.clone()));
            }
            self.keys.insert(key, Entry { state, next_offset, dirty: false, due });
        }
    }

    /// Goes back to where memory has to be rebuilt from; what is applied until [`end_replay`](Self::end_replay) was said
    /// before.
    pub(crate) fn begin_replay(&mut self, progress: Progress, from: i64) {
        self.next_offset = from;
        self.progress.time = progress.replay_time;
    }

    /// Replay has reached the committed offset `to`.
    pub(crate) fn end_replay(&mut self, progress: Progress, from: i64, to: i64) {
        self.progress = Progress { replay_from: from, ..progress };
        self.next_offset = to;
        // Counted from where replay began, so that restarts in a row do not let it grow.
        self.snapshotted_offset = from;
    }

    /// Applies one event: first the timers it makes due, in (due, key) order, then the event itself.
    pub(crate) fn apply<O: Operator<State = S>>(
        &mut self,
        step: &Step<'_, O>,
        (key, event): (&str, &O::Event),
        origin: Origin,
        cause: &mut dyn FnMut() -> Cause,
        effects: &mut Effects,
    ) -> Result<(), Failure> {
        let at = step.operator.received_at(event);
        if let Origin::Input { offset } = origin {
            if at > self.progress.time {
                self.advance(step, at, offset, effects)?;
            }
            self.next_offset = offset + 1;
            if self.keys.get(key).is_some_and(|entry| entry.next_offset > offset) {
                return Ok(());
            }
        }
        let next_offset = self.next_offset;
        let entry = match self.keys.get_mut(key) {
            Some(entry) => entry,
            None => self.keys.entry(key.to_owned()).or_insert_with(|| Entry { state: S::default(), next_offset, dirty: false, due: None }),
        };
        let mut outputs = step.outputs(cause);
        step.operator.on_event(key, event, &mut entry.state, &mut outputs)?;
        let records = outputs.into_records();
        if !records.is_empty() || origin == Origin::Retry {
            effects.announced.insert(key.to_owned());
        }
        effects.outputs.extend(records);
        Self::touched(entry, step.operator, key, next_offset, &mut self.timers);
        Ok(())
    }

    /// Moves the partition's time to `to`, running every timer due by then.
    fn advance<O: Operator<State = S>>(
        &mut self,
        step: &Step<'_, O>,
        to: Timestamp,
        offset: i64,
        effects: &mut Effects,
    ) -> Result<(), Failure> {
        let mut ahead = Vec::new();
        while let Some((due, key)) = self.timers.first().filter(|(due, _)| *due <= to).cloned() {
            self.timers.remove(&(due, key.clone()));
            let Some(entry) = self.keys.get_mut(&key) else { continue };
            // Replaying: the key's snapshot is from later in the log than this record.
            if entry.next_offset > offset {
                ahead.push((due, key));
                continue;
            }
            entry.due = None;
            let mut no_cause = Cause::default;
            let mut outputs = step.outputs(&mut no_cause);
            step.operator.on_time(&key, due, &mut entry.state, &mut outputs)?;
            let records = outputs.into_records();
            if !records.is_empty() {
                effects.announced.insert(key.clone());
            }
            effects.outputs.extend(records);
            let next_offset = entry.next_offset;
            Self::touched(entry, step.operator, &key, next_offset, &mut self.timers);
        }
        self.timers.extend(ahead);
        self.progress.time = to;
        Ok(())
    }

    fn touched<O: Operator<State = S>>(
        entry: &mut Entry<S>,
        operator: &O,
        key: &str,
        next_offset: i64,
        timers: &mut BTreeSet<(Timestamp, String)>,
    ) {
        entry.dirty = true;
        entry.next_offset = next_offset;
        let due = operator.due(&entry.state);
        if due != entry.due {
            if let Some(old) = entry.due {
                timers.remove(&(old, key.to_owned()));
            }
            if let Some(new) = due {
                timers.insert((new, key.to_owned()));
            }
            entry.due = due;
        }
    }

    pub(crate) fn snapshot_is_due(&self, records: u64, interval: std::time::Duration) -> bool {
        let behind = (self.next_offset - self.snapshotted_offset) as u64;
        behind >= records || (behind > 0 && self.snapshotted_at.elapsed() >= interval)
    }

    /// Every changed key's snapshot, or a tombstone for a key that says nothing. Afterwards nothing before the present
    /// offset has to be replayed.
    pub(crate) fn snapshot_changed(&mut self) -> Result<Vec<Snapshot>, Failure> {
        let changed: Vec<String> = self.keys.iter().filter(|(_, entry)| entry.dirty).map(|(key, _)| key.clone()).collect();
        let mut snapshots = Vec::with_capacity(changed.len());
        for key in changed {
            let snapshot = self.snapshot(&key)?;
            if snapshot.is_none() {
                self.keys.remove(&key);
            }
            snapshots.push((key, snapshot));
        }
        self.progress.replay_from = self.next_offset;
        self.progress.replay_time = self.progress.time;
        self.snapshotted_offset = self.next_offset;
        self.snapshotted_at = Instant::now();
        Ok(snapshots)
    }

    /// One key's snapshot as of now; `None` when it says nothing.
    pub(crate) fn snapshot(&mut self, key: &str) -> Result<Option<Vec<u8>>, Failure> {
        let next_offset = self.next_offset;
        let Some(entry) = self.keys.get_mut(key) else { return Ok(None) };
        entry.dirty = false;
        if entry.state.is_idle() && entry.due.is_none() {
            return Ok(None);
        }
        encode_snapshot(&entry.state, next_offset).map(Some).map_err(Failure::fatal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_survives_the_way_through_the_committed_metadata() {
        let progress = Progress { replay_from: 42, replay_time: Timestamp::MIN, time: Timestamp::from_micros(-7) };
        assert_eq!(Progress::from_metadata(&progress.to_metadata()), Some(progress));
        assert_eq!(Progress::from_metadata(""), None);
        assert_eq!(Progress::from_metadata("v2 replay_from=1 time=2"), None);
    }
}
