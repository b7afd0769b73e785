//! Time, for operators that go by the wall clock.

use std::time::{Duration, SystemTime};

use events::Timestamp;

use super::{Owned, POLL, Worker};
use crate::Failure;
use crate::consumer::Member;
use crate::operator::Operator;
use crate::operator::partition::Step;

/// How long a notice may wait while the input is waited for: what depends on the wall clock is mostly somebody waiting.
const NOTICED: Duration = Duration::from_millis(5);

/// What the wall clock shows; nothing to an operator that does not go by it.
pub(super) fn clock<O: Operator>() -> Timestamp {
    if O::WALL_CLOCK { SystemTime::now().into() } else { Timestamp::MIN }
}

impl<S: crate::operator::State> Owned<S> {
    /// Whether the notices there were when it came are heard.
    fn has_heard(&self) -> bool {
        self.notices_until.is_some_and(|end| self.state.notice_offset >= end)
    }

    /// Whether timers may run: everything that was said before they were due is taken.
    fn is_caught_up(&self) -> bool {
        self.state.at_end.is_some() && self.has_heard()
    }
}

impl<O: Operator> Worker<'_, O> {
    /// How long a turn waits for its first message.
    pub(super) fn wait(&self) -> Duration {
        let waits = self.partitions.values().any(Owned::has_moved);
        let wait = if waits { POLL.min(self.context.config.commit_interval) } else { POLL };
        if !O::WALL_CLOCK {
            return wait;
        }
        let now = clock::<O>();
        let due = self.partitions.values().filter(|owned| owned.is_caught_up()).filter_map(|owned| owned.state.next_due()).min();
        due.map_or(wait, |due| wait.min(due.since(now))).min(NOTICED)
    }

    /// Tells the partitions what time it is.
    pub(super) fn tell_time(&mut self) {
        if O::WALL_CLOCK {
            let now = clock::<O>();
            self.partitions.values_mut().for_each(|owned| owned.state.wall = now);
        }
    }

    /// Lets the input of a partition begin once it has heard the notices there were: what is decided by the wall clock is
    /// decided by what is known now, and not by what the owner before knew.
    pub(super) fn release_heard(&mut self, member: &Member) -> Result<(), Failure> {
        for (number, owned) in self.partitions.iter_mut().filter(|(_, owned)| owned.held && owned.has_heard()) {
            owned.held = false;
            member.release(&(self.names.input.clone(), *number))?;
        }
        Ok(())
    }

    /// Runs the timers that are due. Not in a backlog, and not before the notices there were when the partition came: an
    /// owner before may have died long ago, and what was due since then may have been answered meanwhile.
    pub(super) fn run_timers(&mut self) -> Result<(), Failure> {
        if !O::WALL_CLOCK {
            return Ok(());
        }
        let step = Step::new(&*self.operator, &self.context.writer, &self.names.input);
        for Owned { state, pending, .. } in self.partitions.values_mut().filter(|owned| owned.is_caught_up()) {
            state.tick(&step, pending)?;
        }
        Ok(())
    }
}
