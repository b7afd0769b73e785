//! A record as read from a topic, and where it stood.

use events::headers;
use events::trace::TraceContext;
use rdkafka::Message;
use rdkafka::message::{BorrowedMessage, Headers as _};
use serde::{Deserialize, Serialize};

/// Where a record stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
}

/// A record, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub position: Position,
    /// Milliseconds since the Unix epoch.
    pub timestamp: Option<i64>,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Record {
    pub(crate) fn from_message(message: &BorrowedMessage<'_>) -> Self {
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            headers.iter().map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect()
        });
        Self {
            position: Position { topic: message.topic().to_owned(), partition: message.partition(), offset: message.offset() },
            timestamp: message.timestamp().to_millis(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers,
        }
    }

    /// A header's text; `None` when absent or not UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key == name)?;
        std::str::from_utf8(value.as_deref()?).ok()
    }

    pub fn cause(&self) -> Cause {
        Cause::from_headers(|name| self.header(name).map(str::to_owned))
    }
}

/// What an event passes on to the events it causes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// `ce_id` of the event.
    pub event_id: Option<String>,
    /// `ce_id` of the first event of the chain.
    pub correlation_id: Option<String>,
    pub trace: Option<TraceContext>,
}

impl Cause {
    pub(crate) fn of(message: &BorrowedMessage<'_>) -> Self {
        let Some(headers) = message.headers() else { return Self::default() };
        Self::from_headers(|name| {
            let value = headers.iter().find(|header| header.key == name)?.value?;
            std::str::from_utf8(value).ok().map(str::to_owned)
        })
    }

    fn from_headers(text: impl Fn(&str) -> Option<String>) -> Self {
        let trace = text(headers::TRACEPARENT).and_then(|parent| parent.parse::<TraceContext>().ok()).map(|mut trace| {
            trace.state = text(headers::TRACESTATE);
            trace
        });
        let event_id = text(headers::CE_ID);
        let correlation_id = text(headers::CORRELATION_ID).or_else(|| event_id.clone());
        Self { event_id, correlation_id, trace }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rdkafka::ClientConfig;
    use rdkafka::consumer::{BaseConsumer, Consumer as _};
    use rdkafka::message::{Header, OwnedHeaders};
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
    use rdkafka::{Offset, TopicPartitionList};
    use testkit::MockKafka;

    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn record(headers: &[(&str, &str)]) -> Record {
        Record {
            position: Position { topic: "readings".into(), partition: 1, offset: 0 },
            timestamp: Some(1_000),
            key: Some(b"sensor-1".to_vec()),
            value: Some(b"warm".to_vec()),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), Some(value.as_bytes().to_vec()))).collect(),
        }
    }

    /// Gives `record` to Kafka and asks `of` what comes back.
    fn there_and_back<T>(record: &Record, of: impl Fn(&BorrowedMessage<'_>) -> T) -> T {
        let Position { topic, partition, .. } = &record.position;
        let kafka = MockKafka::start(topic);
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", kafka.brokers()).set("group.id", "test");
        let headers =
            record.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: value.as_ref() }));
        let producer: BaseProducer = config.create().unwrap();
        let sent = BaseRecord::to(topic).partition(*partition).timestamp(record.timestamp.unwrap()).headers(headers);
        producer.send(sent.key(record.key.as_ref().unwrap()).payload(record.value.as_ref().unwrap())).unwrap();
        producer.flush(Duration::from_secs(10)).unwrap();
        let consumer: BaseConsumer = config.create().unwrap();
        let mut partitions = TopicPartitionList::new();
        partitions.add_partition_offset(topic, *partition, Offset::Beginning).unwrap();
        consumer.assign(&partitions).unwrap();
        of(&consumer.poll(Duration::from_secs(10)).unwrap().unwrap())
    }

    #[test]
    fn a_record_and_its_cause_are_what_was_sent() {
        let headers = [
            ("other", "1"),
            (headers::CE_ID, "2"),
            (headers::CORRELATION_ID, "3"),
            (headers::TRACEPARENT, PARENT),
            (headers::TRACESTATE, "a=b"),
        ];
        let sent = record(&headers);
        let trace = TraceContext { state: Some("a=b".into()), ..PARENT.parse().unwrap() };
        let expected = Cause { event_id: Some("2".into()), correlation_id: Some("3".into()), trace: Some(trace) };
        let (read, cause) = there_and_back(&sent, |message| (Record::from_message(message), Cause::of(message)));
        assert_eq!((read.cause(), cause), (expected.clone(), expected));
        assert_eq!(read, sent);
    }

    #[test]
    fn an_event_that_names_no_first_one_is_the_first() {
        let cause = record(&[(headers::CE_ID, "2"), (headers::TRACEPARENT, "none")]).cause();
        assert_eq!(cause, Cause { event_id: Some("2".into()), correlation_id: Some("2".into()), trace: None });
    }

    #[test]
    fn a_header_is_text_or_none() {
        let mut record = record(&[("a", "1"), ("b", "2")]);
        record.headers.extend([("bytes".to_owned(), Some(vec![0xff])), ("empty".to_owned(), None)]);
        assert_eq!(["a", "b", "c", "bytes", "empty"].map(|name| record.header(name)), [Some("1"), Some("2"), None, None, None]);
    }
}
