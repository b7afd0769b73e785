use std::time::{Duration, Instant};

use events::Event;
use stream::decode::decode;
use stream::tail::{From, Seen, Tail};
use stream::{Failure, Record};

use crate::Kit;

/// Reads a topic from its beginning, as an outsider would: only what is committed.
pub struct Capture {
    tail: Tail,
    registry: stream::Registry,
}

/// Opens `topic` (without prefix).
pub fn capture(kit: &Kit, topic: &str) -> Capture {
    let tail = Tail::open(&kit.kafka, "testkit", &kit.kafka.prefixed(topic), &From::Beginning).expect("topic can be read");
    Capture { tail, registry: kit.registry.clone() }
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
        let ends = self.tail.ends().expect("ends of the topic");
        let started = Instant::now();
        let mut records = Vec::new();
        // Transaction markers take offsets of their own, so the end is known by its event, not by counting.
        while !(self.tail.at_end()
            && ends.iter().all(|(partition, end)| self.tail.offsets().get(partition).is_some_and(|next| next <= end)))
        {
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
