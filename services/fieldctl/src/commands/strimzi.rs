//! `schemas/topics.yaml` as resources of Strimzi's operator: a `KafkaTopic` each, and a `KafkaUser` for each service with no
//! more rights than it needs. The committed manifests are what these commands print; a test holds them against it.

use std::collections::BTreeSet;

use clap::Subcommand;
use events::topics::CATALOGUE;
use serde_json::{Value, json};
use stream::KafkaConfig;
use stream::admin::{Catalogue, Declared};

use crate::SUCCESS;
use crate::context::Context;

#[derive(Clone, Copy, Subcommand)]
pub(crate) enum Command {
    /// A `KafkaTopic` for each topic
    Topics,
    /// A `KafkaUser` for each service, for fieldctl, and for who only looks at lag
    Users,
}

/// The Kafka resource that topics and users belong to.
const CLUSTER: &str = "fieldwatch";
/// Applies topics and redrives dead letters: it may touch everything.
const ADMINISTRATOR: &str = "fieldctl";
/// Scales by lag: sees how far groups are behind, and reads nothing.
const LAG_OBSERVER: &str = "lag-observer";

pub(crate) fn run(command: Command, context: &mut Context<'_>) -> anyhow::Result<u8> {
    context.out.line(manifests(command, &context.config.kafka)?.trim_end())?;
    Ok(SUCCESS)
}

fn manifests(command: Command, kafka: &KafkaConfig) -> anyhow::Result<String> {
    let catalogue = Catalogue::parse(CATALOGUE)?;
    let (name, resources) = match command {
        Command::Topics => ("topics", topics(&catalogue, kafka)),
        Command::Users => ("users", users(&catalogue, kafka)),
    };
    let mut text = format!("# Made by `fieldctl strimzi {name}` from schemas/topics.yaml.\n");
    for resource in resources {
        text.push_str("---\n");
        text.push_str(&serde_norway::to_string(&resource)?);
    }
    Ok(text)
}

fn topics(catalogue: &Catalogue, kafka: &KafkaConfig) -> Vec<Value> {
    catalogue
        .topics(kafka)
        .into_iter()
        .map(|topic| resource("KafkaTopic", &topic.name, &json!({ "config": topic.config, "partitions": topic.partitions })))
        .collect()
}

fn users(catalogue: &Catalogue, kafka: &KafkaConfig) -> Vec<Value> {
    let declared = catalogue.declared();
    let services: BTreeSet<&str> =
        declared.iter().flat_map(|topic| [topic.owner.as_str(), topic.writer()]).filter(|name| *name != ADMINISTRATOR).collect();
    let mut users: Vec<Value> = services.into_iter().map(|service| user(service, &service_rights(service, declared, kafka))).collect();
    let inputs = declared.iter().filter(|topic| !topic.readers.is_empty());
    let mut looks: Vec<Value> = inputs.map(|topic| right("topic", &kafka.prefixed(&topic.name), "literal", &["Describe"])).collect();
    looks.push(right("group", "*", "literal", &["Describe"]));
    users.push(user(LAG_OBSERVER, &looks));
    let everything = ["Create", "Delete", "Alter", "AlterConfigs", "Describe", "DescribeConfigs", "Read", "Write"];
    let administers = [right("topic", "*", "literal", &everything), right("group", "*", "literal", &["Describe", "Read"])];
    users.push(user(ADMINISTRATOR, &administers));
    users
}

/// Its topics, its inputs, its groups and, where it is an operator, its transactions: nothing else.
fn service_rights(service: &str, declared: &[Declared], kafka: &KafkaConfig) -> Vec<Value> {
    let mut rights: Vec<Value> = declared
        .iter()
        .filter_map(|topic| {
            let writes = topic.writer() == service;
            let reads = topic.readers.iter().any(|reader| reader == service)
                || (writes && topic.state)
                || stage_of_retry(&topic.name).is_some_and(|stage| owns_dead_letters(service, stage, declared));
            let operations: &[&str] = match (reads, writes) {
                (true, true) => &["Read", "Write"],
                (true, false) => &["Read"],
                (false, true) => &["Write"],
                (false, false) => return None,
            };
            Some(right("topic", &kafka.prefixed(&topic.name), "literal", operations))
        })
        .collect();
    // Its stages' groups and transactions begin with its name.
    let own = kafka.prefixed(service);
    if declared.iter().any(|topic| topic.readers.iter().any(|reader| reader == service)) || owns_dead_letters(service, service, declared) {
        rights.push(right("group", &own, "prefix", &["Read"]));
    }
    if declared.iter().any(|topic| topic.state && topic.owner == service) {
        rights.push(right("transactionalId", &own, "prefix", &["Write"]));
    }
    rights
}

fn stage_of_retry(topic: &str) -> Option<&str> {
    topic.strip_prefix("retry.")?.strip_suffix(".v1")
}

fn owns_dead_letters(service: &str, stage: &str, declared: &[Declared]) -> bool {
    let name = events::topics::dlq(stage);
    declared.iter().any(|topic| topic.name == name && topic.owner == service)
}

fn user(name: &str, rights: &[Value]) -> Value {
    resource(
        "KafkaUser",
        name,
        &json!({ "authentication": { "type": "scram-sha-512" }, "authorization": { "acls": rights, "type": "simple" } }),
    )
}

/// Kafka's Read and Write include Describe.
fn right(kind: &str, name: &str, pattern: &str, operations: &[&str]) -> Value {
    json!({ "operations": operations, "resource": { "name": name, "patternType": pattern, "type": kind } })
}

fn resource(kind: &str, name: &str, spec: &Value) -> Value {
    json!({ "apiVersion": "kafka.strimzi.io/v1", "kind": kind, "metadata": { "labels": { "strimzi.io/cluster": CLUSTER }, "name": name }, "spec": spec })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn kafka() -> KafkaConfig {
        Config::load(None, Vec::new()).unwrap().kafka
    }

    fn operations(user: &str, topic: &str) -> Vec<String> {
        let users = users(&Catalogue::parse(CATALOGUE).unwrap(), &kafka());
        let user = users.iter().find(|resource| resource["metadata"]["name"] == user).unwrap();
        let rights = user["spec"]["authorization"]["acls"].as_array().unwrap();
        let found = rights.iter().find(|right| right["resource"]["name"] == topic);
        found.map_or_else(Vec::new, |right| serde_json::from_value(right["operations"].clone()).unwrap())
    }

    #[test]
    fn the_committed_manifests_are_what_is_printed() {
        for (command, name) in [(Command::Topics, "topics"), (Command::Users, "users")] {
            let file = format!("{}/../../k8s/components/kafka-strimzi/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
            let committed = std::fs::read_to_string(&file).unwrap_or_default();
            assert!(
                committed == manifests(command, &kafka()).unwrap(),
                "fieldctl strimzi {name} > k8s/components/kafka-strimzi/{name}.yaml"
            );
        }
    }

    #[test]
    fn a_service_may_read_its_inputs_write_its_outputs_and_touch_nothing_else() {
        assert_eq!(operations("temperature-alert", "telemetry.readings.v1"), ["Read"]);
        assert_eq!(operations("temperature-alert", "retry.temperature-alert.v1"), ["Read"]);
        assert_eq!(operations("temperature-alert", "state.temperature-alert.v1"), ["Read", "Write"]);
        assert_eq!(operations("temperature-alert", "alerts.temperature.v1"), ["Write"]);
        assert_eq!(operations("anomaly-detector", "retry.anomaly-detector-group.v1"), ["Read"]);
        assert_eq!(operations("outbox-relay", "notifications.v1"), ["Write"]);
        assert_eq!(operations("notifier", "notifications.v1"), ["Read"]);
        assert!(operations("temperature-alert", "anomalies.v1").is_empty());
        assert!(operations("outbox-relay", "telemetry.readings.v1").is_empty());
    }

    #[test]
    fn no_service_is_named_as_another_begins() {
        let catalogue = Catalogue::parse(CATALOGUE).unwrap();
        let owners: BTreeSet<&str> = catalogue.declared().iter().map(|topic| topic.owner.as_str()).collect();
        for one in &owners {
            assert!(!owners.iter().any(|other| one != other && other.starts_with(one)), "{one} could use another's groups");
        }
    }
}
