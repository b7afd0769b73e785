//! How what a turn took becomes durable: outputs, snapshots and offsets in one transaction, offsets alone now and then.

use std::time::Instant;

use rdkafka::consumer::CommitMode;
use rdkafka::{Offset, TopicPartitionList};

use super::{Owned, Worker};
use crate::consumer::Member;
use crate::failure::backoff;
use crate::operator::Operator;
use crate::operator::partition::SnapshotBounds;
use crate::operator::transaction::{Attempt, Transactions};
use crate::{Failure, OutRecord};

impl<O: Operator> Worker<'_, O> {
    /// Commits in a transaction when there is anything to write: at once when there is output, else now and then. After
    /// an abort the same bytes go out again for the partitions still owned: memory is ahead and cannot rewind. False: this
    /// worker was fenced.
    pub(super) fn commit(&mut self, transactions: &Transactions, member: &Member) -> Result<bool, Failure> {
        let said = self.partitions.values().any(|owned| !owned.pending.is_empty() || owned.state.has_announced());
        if !said && self.committed_at.elapsed() < self.context.config.commit_interval {
            return Ok(true);
        }
        self.add_snapshots()?;
        for attempt in 0.. {
            if self.partitions.values().all(|owned| owned.pending.is_empty()) {
                break;
            }
            // The others' offsets cost the group's coordinator a record each: they wait for their turn.
            let all = self.committed_at.elapsed() >= self.context.config.commit_interval;
            let offsets = self.offsets(if all { Owned::has_moved } else { Owned::is_written_for })?;
            let records = self.partitions.values().flat_map(|owned| &owned.pending);
            match transactions.commit(records, &offsets, member)? {
                Attempt::Committed => {
                    self.committed(all);
                    return Ok(true);
                }
                Attempt::Aborted(error) => {
                    self.meters.aborted.inc();
                    Failure::transient(format!("transaction aborted: {error}")).note(&self.names.input);
                    self.health.beat();
                    member.wait(backoff(attempt, self.number as u64))?;
                    self.follow_revocations(member);
                }
                Attempt::Fenced(error) => {
                    self.meters.aborted.inc();
                    Failure::transient(format!("fenced, begins anew: {error}")).note(&self.names.input);
                    self.health.not_ready("fenced");
                    return Ok(false);
                }
            }
        }
        self.commit_offsets(member, CommitMode::Async)?;
        Ok(true)
    }

    fn add_snapshots(&mut self) -> Result<(), Failure> {
        let config = &self.context.config;
        let bounds =
            SnapshotBounds { records: config.snapshot_records as i64, interval: config.snapshot_interval, format: config.state_format };
        for (number, Owned { state, pending, .. }) in &mut self.partitions {
            state.now = Instant::now();
            for (key, snapshot) in state.snapshots(bounds)? {
                pending.push(OutRecord::new(&self.names.state, Some(key.as_bytes().to_vec()), snapshot).partition(*number));
            }
        }
        Ok(())
    }

    /// What was written is, with the offsets of `all` partitions or of those it was written for.
    fn committed(&mut self, all: bool) {
        self.meters.committed.inc();
        if all {
            self.committed_at = Instant::now();
            self.tell_tallies();
        }
        for owned in self.partitions.values_mut() {
            if all || owned.is_written_for() {
                owned.committed_offset = owned.state.next_offset;
            }
            for record in owned.pending.drain(..).filter(|record| record.topic != self.names.state) {
                self.meters.gave(&record.topic);
            }
        }
    }

    pub(super) fn commit_offsets(&mut self, member: &Member, mode: CommitMode) -> Result<(), Failure> {
        self.committed_at = Instant::now();
        self.tell_tallies();
        self.meters.keys.set(self.partitions.values().map(|owned| owned.state.keys.len()).sum::<usize>() as f64);
        let offsets = self.offsets(Owned::has_moved)?;
        if offsets.count() == 0 {
            return Ok(());
        }
        match member.commit(&offsets, mode) {
            Ok(()) => self.partitions.values_mut().for_each(|owned| owned.committed_offset = owned.state.next_offset),
            Err(Failure::Fatal(problem)) => return Err(Failure::Fatal(problem)),
            // The next commit has them; until then a new owner would only replay more.
            Err(later) => later.note("committing offsets"),
        }
        Ok(())
    }

    fn tell_tallies(&self) {
        self.operator.on_tallies(&|name| self.partitions.values().map(|owned| owned.state.tallied(name)).sum());
    }

    /// Offsets of the partitions that are `meant`, each with its progress.
    fn offsets(&mut self, meant: fn(&Owned<O::State>) -> bool) -> Result<TopicPartitionList, Failure> {
        let mut offsets = TopicPartitionList::new();
        for (number, owned) in self.partitions.iter_mut().filter(|(_, owned)| meant(owned)) {
            let mut element = offsets.add_partition(&self.names.input, *number);
            element.set_offset(Offset::Offset(owned.state.next_offset))?;
            element.set_metadata(owned.state.progress().to_metadata());
        }
        Ok(offsets)
    }
}
