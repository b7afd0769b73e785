use std::time::{Duration, Instant};

use events::Event;
use stream::decode::decode;
use stream::tail::{From, Seen, Tail};
use stream::{Failure, KafkaConfig, Record};

use crate::Kit;

/// Reads a topic from its beginning, as an outsider would: only what is committed.
pub struct Capture {
    tail: Tail,
    kafka: KafkaConfig,
    topic: String,
    registry: stream::Registry,
}

/// Opens `topic` (without prefix).
pub fn capture(kit: &Kit, topic: &str) -> Capture {
    capture_from(&kit.kafka, &kit.registry, topic)
}

/// The same of another cluster, e.g. librdkafka's own.
pub fn capture_from(kafka: &KafkaConfig, registry: &stream::Registry, topic: &str) -> Capture {
    let topic = kafka.prefixed(topic);
    Capture { tail: open(kafka, &topic, &From::Beginning), kafka: kafka.clone(), topic, registry: registry.clone() }
}

fn open(kafka: &KafkaConfig, topic: &str, from: &From) -> Tail {
    Tail::open(kafka, "testkit", topic, from).expect("topic can be read")
}

impl Capture {
    /// The next `count` records, at most 30 s each.
    pub async fn records(&mut self, count: usize) -> Vec<Record> {
        let mut records = Vec::with_capacity(count);
        while records.len() < count {
            let what = records.len();
            let seen = tokio::time::timeout(Duration::from_secs(30), self.tail.next()).await;
            match seen.unwrap_or_else(|_| panic!("only {what} of {count} records came: {records:#?}")) {
                Ok(Seen::Record(record)) => records.push(record),
                Ok(Seen::End(_)) => {}
                Err(Failure::Transient(problem)) => eprintln!("capture: {problem}"),
                Err(failure) => panic!("capture: {failure}"),
            }
        }
        records
    }

    /// The next `count` events.
    pub async fn events<E: Event>(&mut self, count: usize) -> Vec<E> {
        let mut events = Vec::with_capacity(count);
        for record in self.records(count).await {
            events.push(self.event(&record).await);
        }
        events
    }

    /// Everything up to the end of the topic as it is now.
    pub async fn rest(&mut self) -> Vec<Record> {
        // Transaction markers take offsets of their own, so the end is known by its event and not by counting; a tail
        // that has reached its end before does not hear of it again.
        self.tail = open(&self.kafka, &self.topic, &From::Offsets(self.tail.offsets().clone()));
        let started = Instant::now();
        let mut records = Vec::new();
        while !self.tail.at_end() {
            assert!(started.elapsed() < Duration::from_mins(1), "the end of the topic was not reached");
            if let Ok(Ok(Seen::Record(record))) = tokio::time::timeout(Duration::from_secs(5), self.tail.next()).await {
                records.push(record);
            }
        }
        records
    }

    pub async fn event<E: Event>(&self, record: &Record) -> E {
        decode(&self.registry, record.value.as_deref().expect("a value")).await.expect("an event")
    }
}
