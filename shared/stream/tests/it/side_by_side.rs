//! A change of an event that its schema cannot express: the new event in a topic of its own beside the old one, as
//! `schemas/README.md` says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use events::{DEFAULT_TENANT, DeviceStatus, Event, Reading, Schema, Timestamp, identity, topics};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use stream::admin::{Admin, Catalogue};
use stream::operator::{Operator, Outputs};
use stream::{Failure, registry};
use testkit::{Kit, capture};
use tokio::sync::watch;
use uuid::Uuid;

use crate::operator::{Count, EveryTenth, Running, STAGE, TOPICS, caught_up, config, expected, reading, start, start_writing, status};

const STATUS_2: &str = "telemetry.device-status.v2";

/// Says the same as [`DeviceStatus`], and how many readings there were as a number: a field without a default.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct DeviceStatus2 {
    device_id: String,
    readings: i64,
    changed_at: Timestamp,
    /// What the old event is known by.
    event_id: String,
}

impl Event for DeviceStatus2 {
    const SCHEMA: Schema = Schema {
        file: "device-status-2",
        name: "DeviceStatus",
        ce_type: "fieldwatch.device-status.v2",
        topic: STATUS_2,
        json: r#"{"type": "record", "name": "DeviceStatus", "namespace": "fieldwatch", "fields": [
            {"name": "device_id", "type": "string"},
            {"name": "readings", "type": "long"},
            {"name": "changed_at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
            {"name": "event_id", "type": "string"}]}"#,
    };

    fn key(&self) -> String {
        identity::kafka_key(DEFAULT_TENANT, &self.device_id)
    }

    fn event_id(&self) -> Uuid {
        self.event_id.parse().unwrap()
    }

    fn time(&self) -> Timestamp {
        self.changed_at
    }

    fn subject(&self) -> &str {
        &self.device_id
    }
}

/// The next release of [`EveryTenth`]: the same stage and state, and both events.
struct Both;

impl Operator for Both {
    type Event = Reading;
    type Notice = DeviceStatus;
    type State = Count;

    const STAGE: &'static str = STAGE;

    fn received_at(&self, reading: &Reading) -> Timestamp {
        EveryTenth.received_at(reading)
    }

    fn on_event(&self, key: &str, reading: &Reading, state: &mut Count, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        EveryTenth.on_event(key, reading, state, outputs)?;
        if state.readings.is_multiple_of(10) {
            let old = status(key, format!("reading {}", state.readings), reading.received_at);
            let (device_id, changed_at) = (old.device_id.clone(), old.changed_at);
            let event_id = old.event_id().to_string();
            outputs.emit(&DeviceStatus2 { device_id, readings: state.readings as i64, changed_at, event_id })?;
        }
        Ok(())
    }

    fn due(&self, _: &Count) -> Option<Timestamp> {
        None
    }
}

fn start_next(kit: &Kit) -> Running {
    let registry = kit.registry.clone();
    start_writing(kit, registry.clone(), watch::channel(Arc::new(Both)).1, config(2), async move |writer| {
        writer.with::<DeviceStatus>(&registry).await.unwrap().with::<DeviceStatus2>(&registry).await.unwrap()
    })
}

/// Identities in a topic, in the order of each key.
async fn identities(kit: &Kit, topic: &str) -> BTreeMap<String, Vec<String>> {
    let mut identities = BTreeMap::<String, Vec<String>>::new();
    for record in capture(kit, topic).rest().await {
        let key = String::from_utf8(record.key.clone().unwrap()).unwrap();
        identities.entry(key).or_default().push(record.header("ce_id").unwrap().to_owned());
    }
    identities
}

#[tokio::test(flavor = "multi_thread")]
async fn a_breaking_change_goes_beside_the_old_event_and_a_reader_moves_without_loss_or_repeat() {
    for seed in testkit::seeds() {
        breaking_change(StdRng::seed_from_u64(seed)).await;
    }
}

async fn breaking_change(mut random: StdRng) {
    let kit = Kit::with_topics(&TOPICS).await;
    // 1. A topic like the old one, and a subject of its own: as a version of the old event the registry would not have it.
    let admin = Admin::connect(&kit.kafka).unwrap();
    let old = kit.kafka.prefixed(topics::DEVICE_STATUS);
    let declared = Catalogue::parse(topics::CATALOGUE).unwrap().topics(&kit.kafka);
    let mut new = declared.into_iter().find(|topic| topic.name == old).unwrap();
    (new.name, new.partitions) = (kit.kafka.prefixed(STATUS_2), 3);
    admin.apply(std::slice::from_ref(&new), 1).await.unwrap();

    let readings: Vec<Reading> = (0..3_000).map(|at| reading(&format!("sensor-{:02}", random.random_range(0..9)), at / 100, 1.0)).collect();
    let (before, rest) = readings.split_at(random.random_range(500..1_500));
    let (during, after) = rest.split_at(random.random_range(200..1_000));
    let first = start(&kit);
    kit.publish(before).await;
    caught_up(&kit).await;
    assert!(!kit.registry.check(&registry::subject(&old), DeviceStatus2::SCHEMA.json).await.unwrap().is_empty(), "not a version of it");

    // 2. The owner's next release, in the middle of the stream: both events, from the same state.
    kit.publish(&during[..during.len() / 2]).await;
    first.stop();
    let second = start_next(&kit);
    kit.publish(&during[during.len() / 2..]).await;
    caught_up(&kit).await;

    // 3. A reader has read the old topic up to here, and moves.
    let read: BTreeSet<String> = identities(&kit, topics::DEVICE_STATUS).await.into_values().flatten().collect();
    kit.publish(after).await;
    caught_up(&kit).await;
    second.stop();

    let expected: usize = expected(&readings).values().map(Vec::len).sum();
    let (all, moved) = (identities(&kit, topics::DEVICE_STATUS).await, identities(&kit, STATUS_2).await);
    assert_eq!(all.values().map(Vec::len).sum::<usize>(), expected, "the old topic is complete");
    for (key, in_new) in &moved {
        assert!(all[key].ends_with(in_new), "the new topic of {key} is what the old one has since, in its order");
    }
    let repeated = moved.values().flatten().filter(|id| read.contains(*id)).count();
    let fresh: BTreeSet<&String> = moved.values().flatten().filter(|id| !read.contains(*id)).collect();
    assert!(repeated > 0, "the reader begins the new topic at its beginning: an overlap, known by its identities");
    assert_eq!(read.len() + fresh.len(), expected, "nothing is missed and nothing counts twice");
    admin.delete(&[new.name]).await.unwrap();
}
