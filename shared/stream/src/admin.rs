//! Topics as `schemas/topics.yaml` wants them, and how far groups are behind.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use serde::Deserialize;

use crate::bootstrap::Bootstrap;
use crate::watermarks::watermarks;
use crate::{Failure, KafkaConfig};

const TIMEOUT: Duration = Duration::from_secs(30);
/// How often it is looked whether the brokers act on what the controller accepted.
const FOLLOWS_EVERY: Duration = Duration::from_millis(20);

/// `schemas/topics.yaml`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    defaults: Defaults,
    topics: Vec<Declared>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Defaults {
    partitions: i32,
    max_message_bytes: u64,
    envelope_bytes: u64,
}

/// One topic of the catalogue.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declared {
    pub name: String,
    /// Whose topic it is.
    pub owner: String,
    /// Who writes it, when that is not its owner.
    #[serde(default)]
    writer: Option<String>,
    /// The services whose input it is.
    #[serde(default)]
    pub readers: Vec<String>,
    /// What its key is made of.
    pub key: String,
    /// File of its value's schema.
    #[serde(default)]
    pub schema: Option<String>,
    cleanup: Cleanup,
    #[serde(default, with = "humantime_serde")]
    retention: Option<Duration>,
    #[serde(default)]
    partitions: Option<i32>,
    #[serde(default)]
    envelope: bool,
    /// Snapshots of an operator, which only it reads.
    #[serde(default)]
    pub state: bool,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Cleanup {
    Delete,
    Compact,
}

/// A topic as it has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    pub name: String,
    pub partitions: i32,
    pub config: BTreeMap<String, String>,
}

/// What is different in the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    Missing {
        topic: String,
    },
    /// Refused: partitions of a keyed topic are fixed for its life.
    Partitions {
        topic: String,
        wanted: i32,
        found: i32,
    },
    Config {
        topic: String,
        key: String,
        wanted: String,
        found: String,
    },
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing { topic } => write!(f, "{topic}: missing"),
            Self::Partitions { topic, wanted, found } => {
                write!(
                    f,
                    "{topic}: has {found} partitions, not {wanted}; a keyed topic keeps its partitions for life, a change is a new topic"
                )
            }
            Self::Config { topic, key, wanted, found } => write!(f, "{topic}: {key} is {found}, not {wanted}"),
        }
    }
}

impl Declared {
    /// The one service that writes it.
    pub fn writer(&self) -> &str {
        self.writer.as_ref().unwrap_or(&self.owner)
    }
}

impl Catalogue {
    /// Reads the catalogue; the mistake names line and column.
    pub fn parse(yaml: &str) -> Result<Self, Failure> {
        serde_norway::from_str(yaml).map_err(|error| Failure::fatal(format!("topics.yaml: {error}")))
    }

    pub fn declared(&self) -> &[Declared] {
        &self.topics
    }

    /// Every topic, under the configured prefix.
    pub fn topics(&self, kafka: &KafkaConfig) -> Vec<Topic> {
        self.topics.iter().map(|declared| self.topic(declared, kafka)).collect()
    }

    fn topic(&self, declared: &Declared, kafka: &KafkaConfig) -> Topic {
        let envelope = if declared.envelope { self.defaults.envelope_bytes } else { 0 };
        let mut config = BTreeMap::from([("max.message.bytes".to_owned(), (self.defaults.max_message_bytes + envelope).to_string())]);
        let cleanup = match declared.cleanup {
            Cleanup::Delete => "delete",
            Cleanup::Compact => "compact",
        };
        config.insert("cleanup.policy".to_owned(), cleanup.to_owned());
        if let Some(retention) = declared.retention {
            config.insert("retention.ms".to_owned(), retention.as_millis().to_string());
        }
        if declared.state {
            // Short segments and prompt compaction keep a restore short.
            let settings = [("segment.bytes", "67108864"), ("segment.ms", "600000"), ("max.compaction.lag.ms", "3600000")];
            config.extend(settings.map(|(key, value)| (key.to_owned(), value.to_owned())));
        }
        Topic { name: kafka.prefixed(&declared.name), partitions: declared.partitions.unwrap_or(self.defaults.partitions), config }
    }
}

/// Administers topics.
pub struct Admin {
    client: AdminClient<DefaultClientContext>,
    kafka: KafkaConfig,
}

impl Admin {
    pub fn connect(kafka: &KafkaConfig) -> Result<Self, Failure> {
        Ok(Self { client: kafka.client("fieldctl-admin")?.create()?, kafka: kafka.clone() })
    }

    /// What is different in the cluster from `wanted`.
    pub async fn diff(&self, wanted: &[Topic]) -> Result<Vec<Difference>, Failure> {
        let found = self.partition_counts()?;
        let (present, missing): (Vec<&Topic>, Vec<&Topic>) = wanted.iter().partition(|topic| found.contains_key(&topic.name));
        let mut differences: Vec<Difference> = missing.iter().map(|topic| Difference::Missing { topic: topic.name.clone() }).collect();
        let specifiers: Vec<ResourceSpecifier<'_>> = present.iter().map(|topic| ResourceSpecifier::Topic(&topic.name)).collect();
        let configs = if specifiers.is_empty() {
            Vec::new()
        } else {
            self.client.describe_configs(&specifiers, &AdminOptions::new().request_timeout(Some(TIMEOUT))).await?
        };
        for (topic, config) in present.iter().zip(configs) {
            let partitions = found.get(&topic.name).copied().unwrap_or_default();
            if partitions != topic.partitions {
                differences.push(Difference::Partitions { topic: topic.name.clone(), wanted: topic.partitions, found: partitions });
            }
            let config = config.map_err(|code| Failure::transient(format!("{}: {code}", topic.name)))?;
            for (key, wanted) in &topic.config {
                let found = config.get(key).and_then(|entry| entry.value.clone()).unwrap_or_default();
                if found != *wanted {
                    differences.push(Difference::Config { topic: topic.name.clone(), key: key.clone(), wanted: wanted.clone(), found });
                }
            }
        }
        Ok(differences)
    }

    /// Makes the cluster as `wanted`, and waits until it acts on it; returns what was changed. Refuses, before changing
    /// anything, to change the partitions of a topic that exists.
    pub async fn apply(&self, wanted: &[Topic], replication: i32) -> Result<Vec<Difference>, Failure> {
        let differences = self.diff(wanted).await?;
        if let Some(refused) = differences.iter().find(|difference| matches!(difference, Difference::Partitions { .. })) {
            return Err(Failure::fatal(refused));
        }
        let options = AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT));
        let missing: Vec<NewTopic<'_>> = wanted
            .iter()
            .filter(|topic| differences.contains(&Difference::Missing { topic: topic.name.clone() }))
            .map(|topic| {
                let new = NewTopic::new(&topic.name, topic.partitions, TopicReplication::Fixed(replication));
                topic.config.iter().fold(new, |new, (key, value)| new.set(key, value))
            })
            .collect();
        if !missing.is_empty() {
            for created in self.client.create_topics(&missing, &options).await? {
                created.map_err(|(topic, code)| Failure::fatal(format!("{topic}: not created: {code}")))?;
            }
        }
        let changed: Vec<AlterConfig<'_>> = wanted
            .iter()
            .filter(|topic| {
                differences
                    .iter()
                    .any(|difference| matches!(difference, Difference::Config { topic: changed, .. } if *changed == topic.name))
            })
            .map(|topic| {
                topic
                    .config
                    .iter()
                    .fold(AlterConfig::new(ResourceSpecifier::Topic(&topic.name)), |alter, (key, value)| alter.set(key, value))
            })
            .collect();
        if !changed.is_empty() {
            for altered in self.client.alter_configs(&changed, &options).await? {
                altered.map_err(|(resource, code)| Failure::fatal(format!("{resource:?}: not changed: {code}")))?;
            }
        }
        if !differences.is_empty() {
            self.followed(wanted).await?;
        }
        Ok(differences)
    }

    /// Waits until the brokers act on what the controller accepted: they, and with them every client, hear of it a moment
    /// later, one after the other.
    async fn followed(&self, wanted: &[Topic]) -> Result<(), Failure> {
        let began = Instant::now();
        loop {
            let left = match self.diff(wanted).await {
                Ok(left) => match left.first() {
                    None => return Ok(()),
                    Some(difference) => difference.to_string(),
                },
                Err(Failure::Transient(problem)) => problem,
                Err(failure) => return Err(failure),
            };
            if began.elapsed() > TIMEOUT {
                return Err(Failure::transient(format!("the brokers do not follow: {left}")));
            }
            tokio::time::sleep(FOLLOWS_EVERY).await;
        }
    }

    /// Deletes topics; those that do not exist are passed over.
    pub async fn delete(&self, topics: &[String]) -> Result<(), Failure> {
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        self.client.delete_topics(&names, &AdminOptions::new().request_timeout(Some(TIMEOUT))).await?;
        Ok(())
    }

    /// Deletes everything before `offsets` (full topic name, partition, offset).
    pub async fn delete_before(&self, offsets: &[(String, i32, i64)]) -> Result<(), Failure> {
        let mut list = TopicPartitionList::new();
        for (topic, partition, offset) in offsets {
            list.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
        }
        self.client.delete_records(&list, &AdminOptions::new().request_timeout(Some(TIMEOUT))).await?;
        Ok(())
    }

    fn partition_counts(&self) -> Result<BTreeMap<String, i32>, Failure> {
        let metadata = self.client.inner().fetch_metadata(None, TIMEOUT)?;
        Ok(metadata.topics().iter().map(|topic| (topic.name().to_owned(), topic.partitions().len() as i32)).collect())
    }

    /// How far `group` is behind on `topic` (both without prefix), by partition: (committed, end). A partition nothing
    /// was committed for counts from its beginning.
    pub fn lag(&self, group: &str, topic: &str) -> Result<BTreeMap<i32, (i64, i64)>, Failure> {
        let topic = self.kafka.prefixed(topic);
        let mut config = self.kafka.consumer("fieldctl-lag")?;
        let consumer: BaseConsumer<Bootstrap> = Bootstrap::consumer(config.set("group.id", self.kafka.prefixed(group)))?;
        let partitions = self.partition_counts()?.get(&topic).copied().unwrap_or_default();
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition_range(&topic, 0, (partitions - 1).max(0));
        let committed = consumer.committed_offsets(wanted, TIMEOUT)?;
        let mut lag = BTreeMap::new();
        for partition in 0..partitions {
            let (start, end) = watermarks(&consumer, &topic, partition, TIMEOUT)?;
            let position = match committed.find_partition(&topic, partition).map(|element| element.offset()) {
                Some(Offset::Offset(offset)) => offset,
                _ => start,
            };
            lag.insert(partition, (position, end));
        }
        Ok(lag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_can_be_read() {
        let catalogue = Catalogue::parse(events::topics::CATALOGUE).unwrap();
        let readings = catalogue.declared().iter().find(|topic| topic.name == events::topics::READINGS).unwrap();
        assert_eq!((readings.owner.as_str(), readings.retention), ("mqtt-bridge", Some(Duration::from_hours(7 * 24))));
    }

    #[test]
    fn a_mistake_in_the_catalogue_is_named_with_its_place() {
        let problem = Catalogue::parse("defaults: {partitions: 12, max_message_bytes: 1, envelope_bytes: 1}\ntopics:\n  - {nmae: a}\n")
            .unwrap_err()
            .to_string();
        assert!(problem.contains("nmae") && problem.contains("line 3"), "{problem}");
    }
}
