//! Writing records: what a record is, how events become records, and an idempotent producer for them.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use events::Event;
use events::codec::Encoder;
use events::headers::EventHeaders;
use events::trace::TraceContext;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, PurgeConfig, ThreadedProducer};
use telemetry::metrics::{Counter, counter};
use tokio::sync::oneshot;

use crate::bootstrap::Bootstrap;
use crate::introductions::Introductions;
use crate::record::Cause;
use crate::{Failure, KafkaConfig, Registry, registry};

/// Room for the headers of an event.
const HEADERS: usize = 10;

/// A record to write.
#[derive(Clone, Debug)]
pub struct OutRecord {
    pub topic: String,
    /// `None`: by key ([`partition_of`](events::partitioner::partition_of)).
    pub partition: Option<i32>,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    headers: Option<OwnedHeaders>,
}

impl OutRecord {
    pub fn new(topic: impl Into<String>, key: Option<Vec<u8>>, value: Option<Vec<u8>>) -> Self {
        Self { topic: topic.into(), partition: None, key, value, headers: None }
    }

    #[must_use]
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    #[must_use]
    pub fn header(mut self, key: &str, value: Option<&[u8]>) -> Self {
        self.add_header(key, value);
        self
    }

    pub fn add_header(&mut self, key: &str, value: Option<&[u8]>) {
        let headers = self.headers.take().unwrap_or_else(|| OwnedHeaders::new_with_capacity(HEADERS));
        self.headers = Some(headers.insert(Header { key, value }));
    }

    /// Bytes of key and value.
    pub fn size(&self) -> usize {
        self.key.as_ref().map_or(0, Vec::len) + self.value.as_ref().map_or(0, Vec::len)
    }

    pub(crate) fn headers(&self) -> Option<&OwnedHeaders> {
        self.headers.as_ref()
    }
}

/// Turns a service's events into records: framed Avro, the key, all headers.
#[derive(Clone)]
pub struct EventWriter {
    service: &'static str,
    prefix: String,
    encoders: HashMap<TypeId, Arc<dyn Any + Send + Sync>>,
}

impl EventWriter {
    pub fn new(service: &'static str, kafka: &KafkaConfig) -> Self {
        Self { service, prefix: kafka.topic_prefix.clone(), encoders: HashMap::new() }
    }

    /// Adds an event type: registers its schema. Refused by the registry is Fatal, out of reach Transient.
    pub async fn with<E: Event>(mut self, registry: &Registry) -> Result<Self, Failure> {
        let subject = registry::subject(&format!("{}{}", self.prefix, E::SCHEMA.topic));
        let id = registry.register(&subject, E::SCHEMA.json).await?;
        let encoder = Encoder::<E>::new(id).map_err(Failure::fatal)?;
        self.encoders.insert(TypeId::of::<E>(), Arc::new(encoder));
        Ok(self)
    }

    /// Adds an event type under an id of the caller's, where there is no registry.
    pub fn with_id<E: Event>(mut self, id: events::codec::SchemaId) -> Result<Self, Failure> {
        self.encoders.insert(TypeId::of::<E>(), Arc::new(Encoder::<E>::new(id).map_err(Failure::fatal)?));
        Ok(self)
    }

    /// The framed value of an event.
    pub fn value<E: Event>(&self, event: &E) -> Result<Vec<u8>, Failure> {
        let encoder = self.encoders.get(&TypeId::of::<E>()).and_then(|encoder| encoder.downcast_ref::<Encoder<E>>());
        let encoder = encoder.ok_or_else(|| Failure::fatal(format!("{} is not among this service's events", E::SCHEMA.name)))?;
        encoder.encode(event).map_err(Failure::fatal)
    }

    /// The headers of an event that `cause` led to.
    pub fn headers<E: Event>(&self, event: &E, cause: &Cause, trace: Option<TraceContext>) -> EventHeaders {
        EventHeaders::of(event, self.service, cause.correlation_id.as_deref(), trace)
    }

    /// The record of an event that `cause` led to.
    pub fn record<E: Event>(&self, event: &E, cause: &Cause, trace: Option<TraceContext>) -> Result<OutRecord, Failure> {
        let value = self.value(event)?;
        let topic = format!("{}{}", self.prefix, E::SCHEMA.topic);
        let mut record = OutRecord::new(topic, Some(event.key().into_bytes()), Some(value));
        self.headers(event, cause, trace).for_each(|key, value| record.add_header(key, Some(value.as_bytes())));
        Ok(record)
    }
}

/// When a producer gives a record up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GiveUp {
    /// Kafka may stay away as long as it likes; order is kept.
    Never,
    After(Duration),
}

pub(crate) fn producer_config(kafka: &KafkaConfig, client_id: &str) -> Result<ClientConfig, Failure> {
    let mut config = kafka.client(client_id)?;
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("compression.type", "lz4")
        .set("linger.ms", "1")
        .set("message.max.bytes", "1200000")
        .set("queue.buffering.max.messages", "500000")
        .set("retry.backoff.ms", "20")
        .set("retry.backoff.max.ms", "500");
    Ok(config)
}

/// An idempotent producer (`acks=all`); clones share it.
#[derive(Clone)]
pub struct Publisher {
    producer: Arc<ThreadedProducer<Deliveries, Introductions>>,
    delivered: Arc<std::sync::Mutex<HashMap<String, Counter>>>,
}

/// Partition and offset, or why there are none.
type Report = Result<(i32, i64), KafkaError>;

/// Hears how each record ended.
#[derive(Default)]
struct Deliveries {
    bootstrap: Bootstrap,
    introductions: Introductions,
}

impl ClientContext for Deliveries {
    fn stats_raw(&self, statistics: &[u8]) {
        self.bootstrap.stats_raw(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.bootstrap.error(error, reason);
    }
}

impl ProducerContext<Introductions> for Deliveries {
    type DeliveryOpaque = Box<oneshot::Sender<Report>>;

    fn delivery(&self, result: &DeliveryResult<'_>, told: Self::DeliveryOpaque) {
        let (message, report) = match result {
            Ok(message) => (message, Ok((message.partition(), message.offset()))),
            Err((error, message)) => (message, Err(error.clone())),
        };
        self.introductions.ended(message.topic(), Some(message.partition()), report.is_ok());
        // Not everyone waits for the report.
        let _ = told.send(report);
    }

    fn get_custom_partitioner(&self) -> Option<&Introductions> {
        Some(&self.introductions)
    }
}

/// A record that could not even be queued.
#[derive(Debug)]
pub struct NotQueued {
    pub record: OutRecord,
    pub failure: Failure,
    /// The local queue is full, or this would be the partition's second record before its first is there: wait for
    /// deliveries, then try again.
    pub full: bool,
}

impl Publisher {
    pub fn connect(kafka: &KafkaConfig, client_id: &str, give_up: GiveUp) -> Result<Self, Failure> {
        Self::create(producer_config(kafka, client_id)?, give_up)
    }

    /// For records that come one by one. Holds at most so many that are not delivered: each takes one to two KiB, however
    /// small it is.
    pub fn connect_bounded(kafka: &KafkaConfig, client_id: &str, give_up: GiveUp, records: usize) -> Result<Self, Failure> {
        let mut config = producer_config(kafka, client_id)?;
        config.set("queue.buffering.max.messages", records.to_string());
        // About as long as Kafka takes to answer: while records that have waited long enough queue behind an unanswered batch,
        // the client polls without a pause.
        config.set("linger.ms", "2");
        Self::create(config, give_up)
    }

    /// One that sends each record in a batch of its own: what a broker says of a batch it says of the record.
    pub fn connect_unbatched(kafka: &KafkaConfig, client_id: &str, give_up: GiveUp) -> Result<Self, Failure> {
        let mut config = producer_config(kafka, client_id)?;
        config.set("batch.num.messages", "1");
        Self::create(config, give_up)
    }

    fn create(mut config: ClientConfig, give_up: GiveUp) -> Result<Self, Failure> {
        let timeout = match give_up {
            GiveUp::Never => 0,
            GiveUp::After(timeout) => timeout.as_millis(),
        };
        config.set("message.timeout.ms", timeout.to_string());
        // Otherwise records without a key pass the partitioner by.
        config.set("sticky.partitioning.linger.ms", "0");
        let producer: ThreadedProducer<Deliveries, Introductions> =
            Bootstrap::watch(&mut config).create_with_context(Deliveries::default())?;
        producer.context().bootstrap.attach(producer.client(), &config)?;
        Ok(Self { producer: Arc::new(producer), delivered: Arc::default() })
    }

    /// Queues a record. Records of one key are delivered in the order they were queued.
    pub fn enqueue(&self, record: OutRecord) -> Result<Delivery, Box<NotQueued>> {
        let introductions = &self.producer.context().introductions;
        if !introductions.admits(&record.topic, record.partition) {
            let failure = Failure::transient("the first record in its partition is under way");
            return Err(Box::new(NotQueued { record, failure, full: true }));
        }
        let OutRecord { topic, partition, key, value, headers } = record;
        let (told, report) = oneshot::channel();
        let mut out: BaseRecord<'_, [u8], [u8], _> = BaseRecord::with_opaque_to(&topic, Box::new(told));
        out.headers = headers;
        out.partition = partition;
        out.key = key.as_deref();
        out.payload = value.as_deref();
        match self.producer.send(out) {
            Ok(()) => Ok(Delivery { report, counter: self.counter(&topic) }),
            Err((error, BaseRecord { headers, .. })) => {
                introductions.ended(&topic, partition, false);
                let full = match error.rdkafka_error_code() {
                    Some(RDKafkaErrorCode::QueueFull) => true,
                    Some(RDKafkaErrorCode::UnknownPartition) => partition.is_none(),
                    _ => false,
                };
                Err(Box::new(NotQueued { record: OutRecord { topic, partition, key, value, headers }, failure: error.into(), full }))
            }
        }
    }

    /// Queues a record, waiting for room, and waits for its delivery.
    pub async fn send(&self, record: OutRecord) -> Result<(i32, i64), Failure> {
        self.enqueue_when_room(record).await?.await
    }

    /// Queues a record, waiting while the queue is full.
    pub async fn enqueue_when_room(&self, mut record: OutRecord) -> Result<Delivery, Failure> {
        loop {
            match self.enqueue(record) {
                Ok(delivery) => return Ok(delivery),
                Err(refused) if refused.full => {
                    record = refused.record;
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                Err(refused) => return Err(refused.failure),
            }
        }
    }

    /// Waits until nothing is queued any more, at most `timeout`.
    pub fn flush(&self, timeout: Duration) -> Result<(), Failure> {
        self.producer.flush(timeout).map_err(Failure::from)
    }

    /// Gives up all that is queued or under way: every delivery reports. What was under way may have arrived.
    pub fn purge(&self) {
        self.producer.purge(PurgeConfig::default().queue().inflight());
    }

    /// Asks the cluster for its metadata: whether it can be reached. Blocks up to `timeout`.
    pub fn reach(&self, timeout: Duration) -> Result<(), Failure> {
        self.producer.client().fetch_metadata(None, timeout).map(drop).map_err(Failure::from)
    }

    /// Whether the cluster has a topic (its full name). Blocks up to `timeout`.
    pub fn has_topic(&self, topic: &str, timeout: Duration) -> Result<bool, Failure> {
        let metadata = self.producer.client().fetch_metadata(Some(topic), timeout)?;
        Ok(metadata.topics().iter().any(|found| found.name() == topic && found.error().is_none() && !found.partitions().is_empty()))
    }

    fn counter(&self, topic: &str) -> Counter {
        let mut delivered = self.delivered.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(counter) = delivered.get(topic) {
            return counter.clone();
        }
        let counter = counter("fieldwatch_messages_out", &[("topic", topic)]);
        delivered.insert(topic.to_owned(), counter.clone());
        counter
    }
}

/// Resolves to partition and offset once Kafka acknowledged.
pub struct Delivery {
    report: oneshot::Receiver<Report>,
    counter: Counter,
}

impl Future for Delivery {
    type Output = Result<(i32, i64), Failure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.report).poll(context).map(|report| match report {
            Ok(Ok(place)) => {
                self.counter.inc();
                Ok(place)
            }
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(Failure::from(KafkaError::Canceled)),
        })
    }
}
