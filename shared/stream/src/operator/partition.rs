//! One partition's state: its keys, timers and time, and how an event moves them. No I/O.
//!
//! Every key's snapshot says up to which offset it holds the input. What snapshots miss is rebuilt by replaying the
//! input from `replay_from`, the oldest change no snapshot holds; a key passes over what its own snapshot holds.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use events::Timestamp;

use super::keys::{Entry, Keys};
use super::outputs::Tallies;
use super::progress::Progress;
use super::state::{State, StateFormat, encode_snapshot};
use super::{Operator, Outputs};
use crate::record::Cause;
use crate::{EventWriter, Failure, OutRecord};

/// A key with its state's bytes, or nothing: a tombstone.
pub(crate) type Snapshot = (Arc<str>, Option<Vec<u8>>);

/// How long a changed key may go without a snapshot, and what snapshots look like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SnapshotBounds {
    pub(crate) records: i64,
    pub(crate) interval: Duration,
    pub(crate) format: StateFormat,
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
    /// Rebuilding memory: what is said now was said before, or is new.
    pub(crate) replaying: bool,
    /// The batch step is done.
    pub(crate) prepared: bool,
}

impl<'a, O> Step<'a, O> {
    pub(crate) fn new(operator: &'a O, writer: &'a EventWriter, input: &'a str) -> Self {
        Self { operator, writer, input, replaying: false, prepared: false }
    }
}

/// A change that no snapshot holds yet.
struct Dirty {
    key: Arc<str>,
    since: Mark,
}

/// A point of the input log.
#[derive(Clone, Copy)]
struct Mark {
    offset: i64,
    /// The partition's time before it.
    time: Timestamp,
    taken_at: Instant,
}

pub(crate) struct PartitionState<S> {
    pub(crate) number: i32,
    pub(crate) keys: Keys<S>,
    /// May hold times that a key has given up since: its `scheduled` tells.
    timers: BTreeSet<(Timestamp, Arc<str>)>,
    /// Oldest change first; may hold changes that a snapshot holds by now: the key's `dirty_since` tells.
    dirty: VecDeque<Dirty>,
    /// Keys that said nothing when they were snapshotted last.
    idle: VecDeque<Arc<str>>,
    announced: Vec<Arc<str>>,
    tallies: Tallies,
    /// The highest `received_at` seen.
    pub(crate) time: Timestamp,
    /// Next input offset to process.
    pub(crate) next_offset: i64,
    /// Next offset of the retry topic.
    pub(crate) retry_offset: i64,
    /// Next offset of the notices, and the one that is kept.
    pub(crate) notice_offset: i64,
    pub(crate) notice_kept: i64,
    /// Its source is said to be silent since then.
    pub(crate) silent_since: Option<Timestamp>,
    /// At the end of the input since then.
    pub(crate) at_end: Option<Instant>,
    /// When the present turn began.
    pub(crate) now: Instant,
    /// The same by the wall clock; only where the operator goes by it.
    pub(crate) wall: Timestamp,
}

impl<S: State> PartitionState<S> {
    pub(crate) fn new(number: i32, start: i64) -> Self {
        Self {
            number,
            keys: Keys::default(),
            timers: BTreeSet::new(),
            dirty: VecDeque::new(),
            idle: VecDeque::new(),
            announced: Vec::new(),
            tallies: Tallies::default(),
            time: Timestamp::MIN,
            next_offset: start,
            retry_offset: 0,
            notice_offset: 0,
            notice_kept: 0,
            silent_since: None,
            at_end: None,
            now: Instant::now(),
            wall: Timestamp::MIN,
        }
    }

    /// Takes a key over from its snapshot, or drops what an older one said.
    pub(crate) fn restore(&mut self, key: &str, snapshot: Option<(S, i64)>) {
        match snapshot {
            None => drop(self.keys.remove(key)),
            Some((state, next_offset)) => {
                let entry = self.keys.get_or_default(key);
                entry.state = state;
                entry.next_offset = next_offset;
            }
        }
    }

    /// All snapshots are in; goes back to where memory has to be rebuilt from.
    pub(crate) fn begin_replay<O: Operator<State = S>>(&mut self, operator: &O, time: Timestamp, from: i64) {
        self.next_offset = from;
        self.time = time;
        let (timers, idle, tallies) = (&mut self.timers, &mut self.idle, &mut self.tallies);
        for entry in self.keys.iter_mut() {
            schedule(entry, operator, timers);
            operator.tally(&entry.state, &mut |name| *tallies.entry(name.to_owned()).or_default() += 1);
            if entry.state.is_idle() {
                idle.push_back(Arc::clone(&entry.key));
            }
        }
    }

    /// Replay has reached the committed offset `to`.
    pub(crate) fn end_replay(&mut self, progress: Progress, to: i64) {
        self.time = progress.time;
        self.next_offset = to;
    }

    /// Where the partition stands once everything up to now is committed.
    pub(crate) fn progress(&mut self) -> Progress {
        let (replay_from, replay_time) = self.oldest_change().map_or((self.next_offset, self.time), |since| (since.offset, since.time));
        Progress { replay_from, replay_time, time: self.time }
    }

    fn oldest_change(&mut self) -> Option<Mark> {
        while let Some(Dirty { key, since }) = self.dirty.front() {
            if self.keys.get(key).is_some_and(|entry| entry.dirty_since == Some(since.offset)) {
                return Some(*since);
            }
            self.dirty.pop_front();
        }
        None
    }

    /// Applies one event: first the timers it makes due, in (due, key) order, then the event itself.
    pub(crate) fn apply<O: Operator<State = S>>(
        &mut self,
        step: &Step<'_, O>,
        (key, event): (&str, &O::Event),
        origin: Origin,
        cause: &mut dyn FnMut() -> Cause,
        records: &mut Vec<OutRecord>,
    ) -> Result<(), Failure> {
        let mut mark = None;
        if let Origin::Input { offset } = origin {
            let since = Mark { offset, time: self.time, taken_at: self.now };
            let at = step.operator.received_at(event);
            if at > self.time {
                if !O::WALL_CLOCK {
                    self.run_due(step, at, Some(since), records)?;
                }
                self.time = at;
            }
            self.next_offset = offset + 1;
            mark = Some(since);
        }
        let now = self.time_of::<O>();
        let entry = self.keys.get_or_default(key);
        if mark.is_some_and(|mark| entry.next_offset > mark.offset) {
            return Ok(());
        }
        if O::BATCH > 1 && !step.prepared {
            let mut alone = [(event, std::mem::take(&mut entry.state))];
            let outcome = step.operator.prepare(&mut alone);
            [(_, entry.state)] = alone;
            outcome?;
        }
        let said = records.len();
        let mut outputs = Outputs::new(step, cause, records, &mut self.tallies, now);
        let outcome = step.operator.on_event(key, event, &mut entry.state, &mut outputs);
        if outcome.is_err() {
            records.truncate(said);
            return outcome;
        }
        match mark {
            Some(mark) => {
                entry.next_offset = mark.offset + 1;
                changed(entry, mark, &mut self.dirty);
            }
            None => announce(entry, &mut self.announced),
        }
        if records.len() > said || O::WALL_CLOCK {
            announce(entry, &mut self.announced);
        }
        schedule(entry, step.operator, &mut self.timers);
        Ok(())
    }

    fn time_of<O: Operator>(&self) -> Timestamp {
        if O::WALL_CLOCK { self.wall } else { self.time }
    }

    /// Whether a timer is due by `at`, or may be: a timer that has moved is not known to.
    pub(crate) fn has_due(&self, at: Timestamp) -> bool {
        self.timers.first().is_some_and(|(due, _)| *due <= at)
    }

    /// Takes a key's state out for the batch step.
    pub(crate) fn lend(&mut self, key: &str) -> S {
        std::mem::take(&mut self.keys.get_or_default(key).state)
    }

    pub(crate) fn take_back(&mut self, key: &str, state: S) {
        self.keys.get_or_default(key).state = state;
    }

    /// Gives a notice to the operator; tells whether it changed anything.
    pub(crate) fn hear<O: Operator<State = S>>(
        &mut self,
        step: &Step<'_, O>,
        (key, notice): (&str, &O::Notice),
        cause: &mut dyn FnMut() -> Cause,
        records: &mut Vec<OutRecord>,
    ) -> Result<bool, Failure> {
        let now = self.time_of::<O>();
        let known = self.keys.get(key).is_some();
        if !known && !O::HEARS_OF_NEW_KEYS {
            return Ok(false);
        }
        let entry = self.keys.get_or_default(key);
        let mut outputs = Outputs::new(step, cause, records, &mut self.tallies, now);
        let heard = step.operator.on_notice(key, notice, &mut entry.state, &mut outputs);
        if !matches!(heard, Ok(true)) {
            if !known {
                self.keys.remove(key);
            }
            return heard;
        }
        announce(entry, &mut self.announced);
        schedule(entry, step.operator, &mut self.timers);
        Ok(true)
    }

    /// Runs the timers that are due by the wall clock. The input log did not cause what they change.
    pub(crate) fn tick<O: Operator<State = S>>(&mut self, step: &Step<'_, O>, records: &mut Vec<OutRecord>) -> Result<(), Failure> {
        self.run_due(step, self.wall, None, records)
    }

    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.timers.first().map(|(due, _)| *due)
    }

    /// Runs every timer due by `to`. `mark`: the record that moves time, where one does.
    fn run_due<O: Operator<State = S>>(
        &mut self,
        step: &Step<'_, O>,
        to: Timestamp,
        mark: Option<Mark>,
        records: &mut Vec<OutRecord>,
    ) -> Result<(), Failure> {
        let mut ahead = Vec::new();
        while self.timers.first().is_some_and(|(due, _)| *due <= to) {
            let Some((due, key)) = self.timers.pop_first() else { break };
            let Some(entry) = self.keys.get_mut(&key).filter(|entry| entry.scheduled == Some(due)) else { continue };
            // Replaying: the key's snapshot is from later in the log than this record.
            if mark.is_some_and(|mark| entry.next_offset > mark.offset) {
                ahead.push((due, key));
                continue;
            }
            entry.scheduled = None;
            if step.operator.due(&entry.state) == Some(due) {
                let (said, mut no_cause) = (records.len(), Cause::default);
                let now = if O::WALL_CLOCK { self.wall } else { due };
                let mut outputs = Outputs::new(step, &mut no_cause, records, &mut self.tallies, now);
                step.operator.on_time(&key, due, &mut entry.state, &mut outputs)?;
                if records.len() > said || mark.is_none() {
                    announce(entry, &mut self.announced);
                }
                if let Some(mark) = mark {
                    changed(entry, mark, &mut self.dirty);
                }
            }
            schedule(entry, step.operator, &mut self.timers);
        }
        self.timers.extend(ahead);
        Ok(())
    }

    /// Brings every key in line with the operator; what they say is in the order of the keys.
    pub(crate) fn reconcile<O: Operator<State = S>>(&mut self, step: &Step<'_, O>, records: &mut Vec<OutRecord>) -> Result<(), Failure> {
        let (mut said, now) = (Vec::new(), self.time_of::<O>());
        for entry in self.keys.iter_mut() {
            let (mut of_key, mut no_cause) = (Vec::new(), Cause::default);
            let mut outputs = Outputs::new(step, &mut no_cause, &mut of_key, &mut self.tallies, now);
            step.operator.reconcile(&entry.key, self.time, &mut entry.state, &mut outputs)?;
            schedule(entry, step.operator, &mut self.timers);
            if !of_key.is_empty() {
                announce(entry, &mut self.announced);
                said.push((Arc::clone(&entry.key), of_key));
            }
        }
        said.sort_by(|(one, _), (other, _)| one.cmp(other));
        records.extend(said.into_iter().flat_map(|(_, of_key)| of_key));
        Ok(())
    }

    /// Tells the operator of its source.
    pub(crate) fn source<O: Operator<State = S>>(
        &mut self,
        step: &Step<'_, O>,
        change: super::SourceChange,
        records: &mut Vec<OutRecord>,
    ) -> Result<(), Failure> {
        let (mut no_cause, now) = (Cause::default, self.time_of::<O>());
        step.operator.on_source(change, &mut Outputs::new(step, &mut no_cause, records, &mut self.tallies, now))
    }

    pub(crate) fn tallied(&self, name: &str) -> i64 {
        self.tallies.get(name).copied().unwrap_or_default()
    }

    pub(crate) fn has_announced(&self) -> bool {
        !self.announced.is_empty()
    }

    /// The snapshots that have to go out with the present transaction: what was announced, what has waited for as long as
    /// it may, and a tombstone for a key that says nothing and that no replay would meet again.
    pub(crate) fn snapshots(&mut self, bounds: SnapshotBounds) -> Result<Vec<Snapshot>, Failure> {
        let mut snapshots = Vec::new();
        for key in std::mem::take(&mut self.announced) {
            snapshots.extend(self.snapshot(key, bounds.format)?);
        }
        while let Some(since) = self.oldest_change() {
            if self.next_offset - since.offset < bounds.records && self.now.duration_since(since.taken_at) < bounds.interval {
                break;
            }
            let Some(Dirty { key, .. }) = self.dirty.pop_front() else { break };
            snapshots.extend(self.snapshot(key, bounds.format)?);
        }
        let replay_from = self.progress().replay_from;
        while let Some(key) = self.idle.front() {
            let entry = self.keys.get(key).filter(|entry| entry.state.is_idle() && entry.dirty_since.is_none());
            if entry.is_some_and(|entry| entry.next_offset > replay_from) {
                break;
            }
            let forgotten = entry.is_some();
            let Some(key) = self.idle.pop_front() else { break };
            if forgotten {
                self.keys.remove(&key);
                snapshots.push((key, None));
            }
        }
        Ok(snapshots)
    }

    fn snapshot(&mut self, key: Arc<str>, format: StateFormat) -> Result<Option<Snapshot>, Failure> {
        let Some(entry) = self.keys.get_mut(&key) else { return Ok(None) };
        entry.dirty_since = None;
        entry.announced = false;
        if entry.state.is_idle() {
            self.idle.push_back(Arc::clone(&key));
        }
        let bytes = encode_snapshot(&entry.state, self.next_offset, format).map_err(Failure::fatal)?;
        Ok(Some((key, Some(bytes))))
    }
}

fn changed<S>(entry: &mut Entry<S>, mark: Mark, dirty: &mut VecDeque<Dirty>) {
    if entry.dirty_since.is_none() {
        entry.dirty_since = Some(mark.offset);
        dirty.push_back(Dirty { key: Arc::clone(&entry.key), since: mark });
    }
}

fn announce<S>(entry: &mut Entry<S>, announced: &mut Vec<Arc<str>>) {
    if !entry.announced {
        entry.announced = true;
        announced.push(Arc::clone(&entry.key));
    }
}

/// A timer that moves later is left where it is: on running out it is set anew. Most timers move with every reading.
fn schedule<O: Operator>(entry: &mut Entry<O::State>, operator: &O, timers: &mut BTreeSet<(Timestamp, Arc<str>)>) {
    if let Some(due) = operator.due(&entry.state)
        && entry.scheduled.is_none_or(|scheduled| due < scheduled)
    {
        entry.scheduled = Some(due);
        timers.insert((due, Arc::clone(&entry.key)));
    }
}

#[cfg(test)]
mod tests;
