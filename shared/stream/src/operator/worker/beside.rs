//! What is read beside the input, by hand: redriven records, and the retirement of devices. Neither is part of the input
//! log, so what it changes is snapshotted at once, in one transaction with the position in its topic.

use std::time::Duration;

use events::DeviceState;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};

use super::{Owned, Via, Worker, own_record};
use crate::Failure;
use crate::consumer::Member;
use crate::operator::Operator;
use crate::operator::partition::Step;
use crate::operator::state::STATUS_POSITION_KEY;
use crate::record::Cause;

/// The position among the devices' states is kept at the latest after so many that changed nothing.
const STATUSES: i64 = 1_000;

impl<O: Operator> Worker<'_, O> {
    /// Reads `retry[i]`, and the devices' states where the operator wants them, for every input partition i owned, from the
    /// positions in its state.
    pub(super) fn assign_beside(&self, beside: &BaseConsumer) -> Result<(), Failure> {
        let mut wanted = TopicPartitionList::new();
        for (number, owned) in &self.partitions {
            wanted.add_partition_offset(&self.names.retry, *number, Offset::Offset(owned.state.retry_offset))?;
            if O::HEARS_RETIRED {
                wanted.add_partition_offset(&self.names.status, *number, Offset::Offset(owned.state.status_offset))?;
            }
        }
        beside.assign(&wanted).map_err(Failure::from)
    }

    pub(super) fn take_beside(&mut self, member: &Member, beside: &BaseConsumer) -> Result<(), Failure> {
        if self.partitions.is_empty() {
            return Ok(());
        }
        for _ in 0..self.context.config.max_poll_records {
            match beside.poll(Duration::ZERO).transpose().map_err(Failure::from) {
                Ok(None) => break,
                Ok(Some(message)) if message.topic() == self.names.status => self.hear(&message, member)?,
                Ok(Some(message)) => self.take(&message, Via::Retry, member)?,
                Err(Failure::Fatal(problem)) => return Err(Failure::Fatal(problem)),
                Err(later) => {
                    later.note(&self.names.retry);
                    break;
                }
            }
        }
        Ok(())
    }

    /// Tells the operator of a device that is retired; other states change nothing here.
    fn hear(&mut self, message: &BorrowedMessage<'_>, member: &Member) -> Result<(), Failure> {
        let number = message.partition();
        let status = message.payload().map(|value| match self.statuses.decode(value) {
            Err(Failure::Transient(problem)) => self.until_decoded(number, member, problem, |worker| worker.statuses.decode(value)),
            outcome => outcome,
        });
        self.follow_revocations(member);
        if matches!(status, Some(Err(Failure::Transient(_)))) {
            return Ok(());
        }
        let Some(Owned { state, pending, .. }) = self.partitions.get_mut(&number) else { return Ok(()) };
        let step = Step::new(&*self.operator, &self.context.writer, &self.names.status);
        state.status_offset = message.offset() + 1;
        let key = String::from_utf8_lossy(message.key().unwrap_or_default());
        let outcome = match status {
            Some(Ok(status)) if status.state == DeviceState::Retired => {
                state.retire(&step, &key, status.changed_at, &mut || Cause::of(message), pending)
            }
            Some(Ok(_)) | None => Ok(false),
            Some(Err(failure)) => Err(failure),
        };
        if !matches!(outcome, Ok(false)) || state.status_offset - state.status_kept >= STATUSES {
            state.status_kept = state.status_offset;
            pending.push(own_record(&self.names.state, number, STATUS_POSITION_KEY, Some(state.status_offset)));
        }
        self.settle(message, outcome.map(drop))
    }
}
