//! Transactions: records, offsets and snapshots become visible together or not at all.
//!
//! Two producers take turns. A producer's next transaction is told to wait until the markers of its last are written; by the
//! time the other's is committed, they are. One begins only when it is known how the other ended, so there is one order, and
//! where two have markers to come, the group keeps the offset that was written later.

use std::cell::Cell;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};

use crate::bootstrap::Bootstrap;
use crate::consumer::Member;
use crate::producer::producer_config;
use crate::{Failure, KafkaConfig, OutRecord};

const CONNECT: Duration = Duration::from_secs(10);
/// For one call, between which the client is polled.
const CALL: Duration = Duration::from_secs(2);
const ABORT_CALL: Duration = Duration::from_millis(100);
/// Longer than `transaction.timeout.ms`.
const KNOWN_WITHIN: Duration = Duration::from_secs(15);

/// How an attempt to commit ended.
#[derive(Debug)]
pub(crate) enum Attempt {
    Committed,
    /// Nothing became visible; the same records may go out again.
    Aborted(KafkaError),
    /// This producer is done: fenced after a pause longer than its transaction's timeout, forgotten by the coordinator, or
    /// without an answer for longer than that. What became visible is what the group's offsets say.
    Fenced(KafkaError),
}

#[derive(Clone, Default)]
struct Deliveries {
    bootstrap: Bootstrap,
    first_error: Arc<Mutex<Option<KafkaError>>>,
}

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        self.bootstrap.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let error = match result {
            // The client concludes that Kafka has it, but not Kafka said so: see `introductions`.
            Ok(message) if message.offset() < 0 => KafkaError::MessageProduction(RDKafkaErrorCode::OutOfOrderSequenceNumber),
            Ok(_) => return,
            Err((error, _)) => error.clone(),
        };
        self.first_error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

pub(crate) struct Transactions {
    producers: [Transactional; 2],
    turn: Cell<usize>,
}

impl Transactions {
    /// Producers under transactional ids that nobody had before. Blocks until the cluster answers or `CONNECT`.
    pub(crate) fn begin_with(kafka: &KafkaConfig, transactional_id: &str) -> Result<Self, Failure> {
        let producer = |number| Transactional::begin_with(kafka, &format!("{transactional_id}-{number}"));
        Ok(Self { producers: [producer(0)?, producer(1)?], turn: Cell::new(0) })
    }

    /// Sends `records` and moves the group to `offsets`, all or nothing. No access is Fatal.
    pub(crate) fn commit<'r>(
        &self,
        records: impl Iterator<Item = &'r OutRecord>,
        offsets: &TopicPartitionList,
        member: &Member,
    ) -> Result<Attempt, Failure> {
        let turn = self.turn.replace(1 - self.turn.get());
        self.producers[turn].commit(records, offsets, member)
    }
}

struct Transactional {
    producer: BaseProducer<Deliveries>,
    deliveries: Deliveries,
}

impl Transactional {
    fn begin_with(kafka: &KafkaConfig, transactional_id: &str) -> Result<Self, Failure> {
        let mut config = producer_config(kafka, transactional_id)?;
        config
            .set("transactional.id", transactional_id)
            .set("transaction.timeout.ms", "10000")
            // As every other producer of the suite.
            .set("partitioner", "murmur2_random")
            .set("message.timeout.ms", "10000")
            // Records wait for their partitions to be registered, and are batched meanwhile.
            .set("linger.ms", "0")
            // Where markers are not written yet after all: the backoff of other producers would cost more than the
            // transaction.
            .set("retry.backoff.ms", "1")
            .set("retry.backoff.max.ms", "100");
        let deliveries = Deliveries::default();
        let producer: BaseProducer<Deliveries> = config.create_with_context(deliveries.clone())?;
        deliveries.bootstrap.attach(producer.client(), &config)?;
        producer.init_transactions(CONNECT)?;
        Ok(Self { producer, deliveries })
    }

    fn commit<'r>(
        &self,
        records: impl Iterator<Item = &'r OutRecord>,
        offsets: &TopicPartitionList,
        member: &Member,
    ) -> Result<Attempt, Failure> {
        self.deliveries.first_error.lock().unwrap_or_else(PoisonError::into_inner).take();
        match self.attempt(records, offsets, member) {
            Ok(()) => Ok(Attempt::Committed),
            Err(error) if ends_producer(&error) => fenced(error),
            Err(error) => match self.abort() {
                Ok(()) => Ok(Attempt::Aborted(error)),
                Err(error) => fenced(error),
            },
        }
    }

    fn attempt<'r>(
        &self,
        mut records: impl Iterator<Item = &'r OutRecord>,
        offsets: &TopicPartitionList,
        member: &Member,
    ) -> Result<(), KafkaError> {
        self.producer.begin_transaction()?;
        // They travel while the offsets do.
        records.try_for_each(|record| self.send(record))?;
        let group = member.consumer().group_metadata().ok_or(KafkaError::Canceled)?;
        self.until_known(|| self.producer.send_offsets_to_transaction(offsets, &group, CALL))?;
        self.delivered()?;
        self.until_known(|| self.producer.commit_transaction(CALL))
    }

    /// Waits until Kafka has every record. `commit_transaction` would do so in slices of 100 ms; here it costs 3 ms instead
    /// of 205.
    fn delivered(&self) -> Result<(), KafkaError> {
        while self.producer.in_flight_count() > 0 {
            self.producer.poll(Duration::ZERO);
            std::thread::sleep(Duration::from_micros(200));
        }
        self.deliveries.first_error.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }

    fn send(&self, record: &OutRecord) -> Result<(), KafkaError> {
        loop {
            let mut out: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&record.topic);
            out.headers = record.headers().cloned();
            out.partition = record.partition;
            out.key = record.key.as_deref();
            out.payload = record.value.as_deref();
            match self.producer.send(out) {
                Ok(()) => return Ok(()),
                Err((error, _)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => {
                    self.producer.poll(Duration::from_millis(1));
                }
                Err((error, _)) => return Err(error),
            }
        }
    }

    /// Aborting purges what is queued and waits for the reports of it, which only polling takes: so it is asked in short
    /// turns.
    fn abort(&self) -> Result<(), KafkaError> {
        self.until_known(|| self.producer.abort_transaction(ABORT_CALL))
    }

    /// Repeats a call whose outcome is not known until it is, and hears of reports and errors in between. Past the
    /// transaction's timeout the coordinator has ended it one way or the other: `Canceled`.
    fn until_known(&self, call: impl Fn() -> Result<(), KafkaError>) -> Result<(), KafkaError> {
        let started = Instant::now();
        loop {
            let asked = Instant::now();
            match call() {
                Err(KafkaError::Transaction(error)) if error.is_retriable() => {
                    tracing::debug!(%error, "transaction: asked again");
                    if started.elapsed() > KNOWN_WITHIN {
                        return Err(KafkaError::Canceled);
                    }
                    if asked.elapsed() >= CALL {
                        self.deliveries.bootstrap.again();
                    }
                    self.producer.poll(Duration::from_millis(20));
                }
                outcome => return outcome,
            }
        }
    }
}

/// What ends a producer ends the process only where a new producer would end the same way.
fn fenced(error: KafkaError) -> Result<Attempt, Failure> {
    use RDKafkaErrorCode as Code;
    match error.rdkafka_error_code() {
        Some(
            Code::TransactionalIdAuthorizationFailed
            | Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed,
        ) => Err(Failure::fatal(format!("transaction: {error}"))),
        _ => Ok(Attempt::Fenced(error)),
    }
}

fn ends_producer(error: &KafkaError) -> bool {
    match error {
        KafkaError::Transaction(error) => error.is_fatal(),
        KafkaError::Canceled => true,
        error => error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal),
    }
}

#[cfg(test)]
mod tests {
    use testkit::MockKafka;

    use super::*;

    /// Otherwise the transaction would be committed without it.
    #[test]
    fn a_record_that_only_the_client_believes_to_be_there_is_none() {
        let kafka = MockKafka::start("alerts");
        // librdkafka's own cluster looks at the sequence numbers of transactions, so without one.
        let (mut config, deliveries) = (producer_config(&KafkaConfig::plain(&kafka.brokers()), "test").unwrap(), Deliveries::default());
        let producer = config.set("batch.num.messages", "1").create_with_context(deliveries.clone()).unwrap();
        let transactional = Transactional { producer, deliveries };
        kafka.slow(Duration::from_millis(100));
        kafka.leads_after(1);
        for _ in 0..2 {
            transactional.send(&OutRecord::new("alerts", Some(b"key".to_vec()), None)).unwrap();
        }
        let error = transactional.delivered().unwrap_err();
        assert_eq!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::OutOfOrderSequenceNumber));
        transactional.send(&OutRecord::new("alerts", Some(b"key".to_vec()), None)).unwrap();
        transactional.delivered().unwrap();
    }
}
