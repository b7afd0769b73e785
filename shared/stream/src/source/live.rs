//! The right to send: who holds it gives records to Kafka, and nobody else does. The taking side has it in live
//! operation, the keeper while something waits on disk.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::producer::{Delivery, GiveUp};
use crate::source::{Reader, Sent};
use crate::{Failure, KafkaConfig, OutRecord, Poison, Publisher};

pub(super) struct Live<R: Reader> {
    reader: R,
    publisher: Publisher,
}

/// A message some of whose records are queued.
pub(super) struct Sending<T> {
    rest: VecDeque<OutRecord>,
    deliveries: VecDeque<Delivery>,
    trail: T,
    refused: bool,
}

pub(super) fn lock<R: Reader>(live: &Mutex<Option<Live<R>>>) -> MutexGuard<'_, Option<Live<R>>> {
    live.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<R: Reader> Live<R> {
    pub(super) fn connect(reader: R, kafka: &KafkaConfig, client_id: &str, most_records: usize) -> Result<Self, Failure> {
        Ok(Self { reader, publisher: Publisher::connect_bounded(kafka, client_id, GiveUp::Never, most_records)? })
    }

    /// Gives up what is queued and under way: every delivery reports. With another producer from then on: this one's
    /// sequence has a gap.
    pub(super) fn purge(self) -> (R, Publisher) {
        self.publisher.purge();
        (self.reader, self.publisher)
    }

    /// Reads a message and queues its records; `None`: there is no room for the rest, which `sending` keeps.
    pub(super) fn send(
        &mut self,
        message: &R::Message,
        sending: &mut Option<Sending<R::Trail>>,
    ) -> Result<Option<Sent<R::Trail>>, Failure> {
        let mut current = if let Some(current) = sending.take() {
            current
        } else {
            let (records, trail) = self.reader.read(message)?;
            Sending { deliveries: VecDeque::with_capacity(records.len()), rest: records.into(), trail, refused: false }
        };
        while let Some(record) = current.rest.pop_front() {
            match self.publisher.enqueue(record) {
                Ok(delivery) => current.deliveries.push_back(delivery),
                Err(not_queued) if not_queued.full => {
                    current.rest.push_front(not_queued.record);
                    *sending = Some(current);
                    return Ok(None);
                }
                Err(not_queued) => match not_queued.failure {
                    Failure::Poison(poison) if !current.refused => current = self.letter(message, &poison),
                    failure => return Err(Failure::fatal(failure)),
                },
            }
        }
        let Sending { deliveries, trail, .. } = current;
        Ok(Some(Sent { deliveries, trail, at: Instant::now() }))
    }

    /// What stands for a message that Kafka will not have, to be sent.
    pub(super) fn letter(&mut self, message: &R::Message, poison: &Poison) -> Sending<R::Trail> {
        let (letter, trail) = self.reader.refused(message, poison);
        Sending { rest: VecDeque::from([letter]), deliveries: VecDeque::new(), trail, refused: true }
    }
}
