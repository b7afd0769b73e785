//! What is read beside the input, by hand: redriven records, and notices. Neither is part of the input log, so what it
//! changes is snapshotted at once, in one transaction with the position in its topic.

use std::time::Duration;

use events::Event;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};

use super::taking::{Via, key_of};
use super::{Owned, Worker, own_record};
use crate::Failure;
use crate::bootstrap::Bootstrap;
use crate::consumer::Member;
use crate::operator::Operator;
use crate::operator::partition::Step;
use crate::operator::state::NOTICE_POSITION_KEY;
use crate::record::Cause;
use crate::watermarks::watermarks;

/// The position among the notices is kept at the latest after so many that changed nothing.
const NOTICES: i64 = 1_000;
const TIMEOUT: Duration = Duration::from_secs(2);

impl<O: Operator> Worker<'_, O> {
    /// Reads `retry[i]`, and the notices where the operator wants them, for every input partition i owned, from the positions
    /// in its state.
    pub(super) fn assign_beside(&mut self, beside: &BaseConsumer<Bootstrap>) -> Result<(), Failure> {
        let mut wanted = TopicPartitionList::new();
        // Where one gets no answer, the others wait for the next turn.
        let mut answered = true;
        for (number, owned) in &mut self.partitions {
            wanted.add_partition_offset(&self.names.retry, *number, Offset::Offset(owned.state.retry_offset))?;
            if !O::Notice::SCHEMA.topic.is_empty() {
                wanted.add_partition_offset(&self.names.notices, *number, Offset::Offset(owned.state.notice_offset))?;
                if O::WALL_CLOCK && owned.notices_until.is_none() && answered {
                    match watermarks(beside, &self.names.notices, *number, TIMEOUT).map_err(Failure::from) {
                        Ok((start, end)) => owned.notices_until = Some(if start == end { 0 } else { end }),
                        Err(Failure::Fatal(problem)) => return Err(Failure::Fatal(problem)),
                        Err(later) => {
                            later.note(&self.names.notices);
                            answered = false;
                        }
                    }
                }
            }
        }
        self.partitions_came |= !answered;
        beside.assign(&wanted).map_err(Failure::from)
    }

    pub(super) fn take_beside(&mut self, member: &Member, beside: &BaseConsumer<Bootstrap>) -> Result<(), Failure> {
        for _ in 0..self.context.config.max_poll_records {
            match beside.poll(Duration::ZERO).transpose().map_err(Failure::from) {
                Ok(None) => break,
                Ok(Some(message)) if message.topic() == self.names.notices => self.hear(&message, member)?,
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

    /// Gives a notice to the operator.
    fn hear(&mut self, message: &BorrowedMessage<'_>, member: &Member) -> Result<(), Failure> {
        let number = message.partition();
        let notice = message.payload().map(|value| match self.notices.decode(value) {
            Err(Failure::Transient(problem)) => self.until_decoded(number, member, problem, |worker| worker.notices.decode(value)),
            outcome => outcome,
        });
        self.follow_revocations(member);
        if matches!(notice, Some(Err(Failure::Transient(_)))) {
            return Ok(());
        }
        let Some(Owned { state, pending, .. }) = self.partitions.get_mut(&number) else { return Ok(()) };
        let step = Step::new(&*self.operator, &self.context.writer, &self.names.notices);
        state.notice_offset = message.offset() + 1;
        let key = key_of(message);
        let outcome = match notice {
            Some(Ok(notice)) => state.hear(&step, (&key, &notice), &mut || Cause::of(message), pending),
            None => Ok(false),
            Some(Err(failure)) => Err(failure),
        };
        if !matches!(outcome, Ok(false)) || state.notice_offset - state.notice_kept >= NOTICES {
            state.notice_kept = state.notice_offset;
            pending.push(own_record(&self.names.state, number, NOTICE_POSITION_KEY, Some(state.notice_offset)));
        }
        self.settle(message, outcome.map(drop))
    }
}
