//! Which partitions a worker has: an assignment is restored on another thread first, a revocation is followed at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError};

use events::Event;
use rdkafka::Offset;

use super::clock::clock;
use super::{Owned, UNKNOWN, Worker};
use crate::Failure;
use crate::consumer::{Change, Member};
use crate::operator::Operator;
use crate::operator::partition::Step;
use crate::operator::restore::{Request, Restored};

/// Partitions on their way from another owner to this one.
pub(super) struct Restores<O: Operator> {
    pub(super) requests: Sender<Request<O>>,
    pub(super) answered: Receiver<Result<Restored<O::State>, Failure>>,
    /// Number of the assignment made last.
    pub(super) assignment: u64,
    /// Each with the assignment it is restored for.
    pub(super) awaited: BTreeMap<i32, u64>,
}

impl<O: Operator> Worker<'_, O> {
    pub(super) fn follow_changes(&mut self, member: &Member) -> Result<(), Failure> {
        for change in member.changes() {
            match change {
                Change::Revoked(revoked) => self.drop_partitions(&revoked),
                Change::Assigned(assigned) => {
                    self.restores.assignment += 1;
                    let (assignment, operator) = (self.restores.assignment, Arc::clone(&self.operator));
                    let partitions: Vec<i32> = assigned.iter().map(|(_, partition)| *partition).collect();
                    self.health.not_ready(format!("{} partitions are being restored", partitions.len()));
                    self.restores.awaited.extend(partitions.iter().map(|partition| (*partition, assignment)));
                    self.tell_partitions();
                    if self.restores.requests.send(Request { assignment, operator, partitions }).is_err() {
                        return Err(Failure::fatal("the restoring thread has ended"));
                    }
                }
            }
        }
        Ok(())
    }

    /// Revocations are followed at once, so that nothing more is done for a partition that is gone; assignments wait
    /// for the next turn.
    pub(super) fn follow_revocations(&mut self, member: &Member) {
        if member.has_changes() {
            let revoked = member.take_revoked();
            self.drop_partitions(&revoked);
        }
    }

    fn drop_partitions(&mut self, revoked: &[(String, i32)]) {
        for (_, partition) in revoked {
            self.partitions.remove(partition);
            self.restores.awaited.remove(partition);
        }
        self.tell_partitions();
    }

    /// Starts the partitions that are restored by now. The group waits for that, also where there are none.
    pub(super) fn take_restored(&mut self, member: &Member) -> Result<(), Failure> {
        let restored = match self.restores.answered.try_recv() {
            Ok(restored) => restored?,
            Err(TryRecvError::Empty) => return Ok(()),
            Err(TryRecvError::Disconnected) => return Err(Failure::fatal("the restoring thread has ended")),
        };
        let step = Step::new(&*self.operator, &self.context.writer, &self.names.input);
        let mut starts = Vec::with_capacity(restored.partitions.len());
        for (mut state, mut pending) in restored.partitions {
            let number = state.number;
            if self.restores.awaited.get(&number) != Some(&restored.assignment) {
                continue;
            }
            self.restores.awaited.remove(&number);
            state.wall = clock::<O>();
            state.reconcile(&step, &mut pending)?;
            starts.push(((self.names.input.clone(), number), Offset::Offset(state.next_offset)));
            let (notices_until, held) = if O::Notice::SCHEMA.topic.is_empty() { (Some(0), false) } else { (None, O::WALL_CLOCK) };
            self.partitions
                .insert(number, Owned { state, pending, committed_offset: UNKNOWN, assignment: restored.assignment, notices_until, held });
        }
        member.start(&starts)?;
        if O::WALL_CLOCK && !O::Notice::SCHEMA.topic.is_empty() {
            member.hold(&starts.into_iter().map(|(partition, _)| partition).collect::<Vec<_>>())?;
        }
        // What was committed while the group changed may have been refused, and nobody is told.
        self.partitions.values_mut().for_each(|owned| owned.committed_offset = UNKNOWN);
        self.tell_partitions();
        self.partitions_came = true;
        self.ready_if_restored();
        Ok(())
    }

    fn tell_partitions(&self) {
        self.meters.owned.set(self.partitions.len() as f64);
        self.meters.restoring.set(self.restores.awaited.len() as f64);
    }

    pub(super) fn ready_if_restored(&self) {
        if self.restores.awaited.is_empty() {
            self.health.ready();
        }
    }
}
