use events::Event;
use serde::Deserialize;
use service::config::{Layers, load};
use service::{AdminConfig, ServiceConfig, Shared};
use stream::admin::{Admin, Catalogue, Difference, Topic};
use stream::producer::GiveUp;
use stream::{Cause, EventWriter, KafkaConfig, OutRecord, Publisher, Registry, RegistryConfig};
use telemetry::{LogConfig, TelemetryConfig};

/// Partitions of a test's topics: enough to spread, few enough to create quickly.
const PARTITIONS: i32 = 3;

/// Replicas of a topic: as many as the cluster's brokers choose, one of one and three of three.
const BROKERS_CHOICE: i32 = -1;

/// Every topic of topics.yaml, without prefix.
pub fn catalogue() -> Vec<String> {
    let catalogue = Catalogue::parse(events::topics::CATALOGUE).expect("topics.yaml");
    catalogue.declared().iter().map(|topic| topic.name.clone()).collect()
}

/// A test's own topics under a prefix nobody else has; deleted on drop.
pub struct Kit {
    pub kafka: KafkaConfig,
    pub registry_config: RegistryConfig,
    pub registry: Registry,
    topics: Vec<String>,
}

#[derive(Deserialize)]
struct Addresses {
    kafka: KafkaConfig,
    registry: RegistryConfig,
    telemetry: TelemetryConfig,
    log: LogConfig,
    admin: AdminConfig,
}

impl ServiceConfig for Addresses {
    fn shared(&self) -> Shared<'_> {
        Shared { telemetry: &self.telemetry, log: &self.log, admin: &self.admin }
    }
}

/// A service's configuration: its defaults, the running infrastructure, then `overrides` (as environment variables).
pub fn config<C: ServiceConfig>(service: &str, defaults: &str, overrides: &[(&str, &str)]) -> C {
    let infrastructure =
        ["FIELDWATCH__KAFKA__BROKERS", "FIELDWATCH__REGISTRY__URL"].map(|name| (name.to_owned(), crate::environment(name)));
    let overrides = overrides.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let environment = infrastructure.into_iter().chain(overrides).collect();
    load(&Layers { service, defaults, file: None, environment }).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

/// The cluster's address and nothing else, for what only needs the type.
pub fn kafka_config() -> KafkaConfig {
    addresses("").kafka
}

fn addresses(prefix: &str) -> Addresses {
    config("test", "[admin]\nlisten = \"127.0.0.1:0\"\n", &[("FIELDWATCH__KAFKA__TOPIC_PREFIX", prefix)])
}

fn declared(kafka: &KafkaConfig, names: &[&str]) -> Vec<Topic> {
    let mut topics = Catalogue::parse(events::topics::CATALOGUE).expect("topics.yaml").topics(kafka);
    topics.retain(|topic| names.iter().any(|name| kafka.prefixed(name) == topic.name));
    assert_eq!(topics.len(), names.len(), "topics.yaml does not have all of {names:?}");
    topics
}

impl Kit {
    /// Creates the named topics of the catalogue (without prefix), with few partitions.
    pub async fn with_topics(names: &[&str]) -> Self {
        Self::create(names, Some(PARTITIONS)).await
    }

    /// Creates the named topics of the catalogue (without prefix) exactly as declared.
    pub async fn as_declared(names: &[&str]) -> Self {
        Self::create(names, None).await
    }

    /// Creates every topic of the catalogue, with few partitions.
    pub async fn with_all_topics() -> Self {
        let names = catalogue();
        Self::with_topics(&names.iter().map(String::as_str).collect::<Vec<_>>()).await
    }

    async fn create(names: &[&str], partitions: Option<i32>) -> Self {
        crate::show_logs();
        let prefix = format!("test-{}-", uuid::Uuid::new_v4().simple());
        let addresses = addresses(&prefix);
        let kafka = addresses.kafka;
        let mut wanted = declared(&kafka, names);
        for topic in &mut wanted {
            topic.partitions = partitions.unwrap_or(topic.partitions);
        }
        Admin::connect(&kafka).expect("admin").apply(&wanted, BROKERS_CHOICE).await.expect("topics are created");
        let registry = Registry::connect(&addresses.registry).expect("registry");
        Self { kafka, registry_config: addresses.registry, registry, topics: wanted.into_iter().map(|topic| topic.name).collect() }
    }

    /// Empties the named topics (without prefix), as declared: deleted and created again.
    pub async fn renew(&self, names: &[&str]) {
        let admin = Admin::connect(&self.kafka).expect("admin");
        let wanted = declared(&self.kafka, names);
        let full: Vec<String> = wanted.iter().map(|topic| topic.name.clone()).collect();
        admin.delete(&full).await.expect("topics are deleted");
        crate::eventually("the deleted topics are gone", || async {
            let missing = admin.diff(&wanted).await.expect("topics are described");
            missing.iter().all(|difference| matches!(difference, Difference::Missing { .. })).then_some(())
        })
        .await;
        admin.apply(&wanted, BROKERS_CHOICE).await.expect("topics are created");
    }

    /// Records of a topic that a group has not committed (both without prefix); `None` while an open transaction keeps that
    /// unknown.
    pub fn lag(&self, group: &str, topic: &str) -> Option<i64> {
        let lag = Admin::connect(&self.kafka).and_then(|admin| admin.lag(group, topic)).ok()?;
        Some(lag.values().map(|(committed, end)| end - committed).sum())
    }

    /// The prefix of this test's topics, groups and subjects.
    pub fn prefix(&self) -> &str {
        &self.kafka.topic_prefix
    }

    /// A service's configuration on this test's topics.
    pub fn config<C: ServiceConfig>(&self, service: &str, defaults: &str, overrides: &[(&str, &str)]) -> C {
        let mut all = vec![("FIELDWATCH__KAFKA__TOPIC_PREFIX", self.prefix())];
        all.extend_from_slice(overrides);
        config(service, defaults, &all)
    }

    pub fn publisher(&self) -> Publisher {
        Publisher::connect(&self.kafka, "testkit", GiveUp::After(std::time::Duration::from_secs(20))).expect("a producer")
    }

    /// Publishes events in order and waits for all of them.
    pub async fn publish<E: Event>(&self, events: &[E]) {
        let writer = EventWriter::new("testkit", &self.kafka).with::<E>(&self.registry).await.expect("schema is registered");
        let records = events.iter().map(|event| writer.record(event, &Cause::default(), None).expect("event can be written"));
        self.publish_records(records.collect()).await;
    }

    /// Publishes records in order and waits for all of them.
    pub async fn publish_records(&self, records: Vec<OutRecord>) {
        let publisher = self.publisher();
        let mut deliveries = Vec::with_capacity(records.len());
        for record in records {
            deliveries.push(publisher.enqueue_when_room(record).await.expect("record is queued"));
        }
        for delivery in deliveries {
            delivery.await.expect("record is delivered");
        }
    }
}

impl Drop for Kit {
    fn drop(&mut self) {
        let (kafka, topics) = (self.kafka.clone(), std::mem::take(&mut self.topics));
        // A thread of its own: a runtime cannot be blocked from within.
        let deleted = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async { Admin::connect(&kafka)?.delete(&topics).await })
        });
        if !matches!(deleted.join(), Ok(Ok(()))) {
            eprintln!("topics of {} were not deleted", self.kafka.topic_prefix);
        }
    }
}
