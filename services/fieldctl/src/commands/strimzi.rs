//! `schemas/topics.yaml` as resources of Strimzi's operator: a `KafkaTopic` each, and a `KafkaUser` for each service with no
//! more rights than it needs. The committed manifests are what these commands print; a test holds them against it.

use clap::Subcommand;
use events::topics::CATALOGUE;
use serde_json::{Value, json};
use stream::KafkaConfig;
use stream::admin::Catalogue;

use super::rights::{self, Kind, Right, User};
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
    rights::users(catalogue.declared(), kafka).iter().map(user).collect()
}

fn user(user: &User) -> Value {
    let rights: Vec<Value> = user.rights.iter().map(right).collect();
    resource(
        "KafkaUser",
        &user.name,
        &json!({ "authentication": { "type": "scram-sha-512" }, "authorization": { "acls": rights, "type": "simple" } }),
    )
}

fn right(right: &Right) -> Value {
    let kind = match right.kind {
        Kind::Topic => "topic",
        Kind::Group => "group",
        Kind::TransactionalId => "transactionalId",
    };
    let pattern = if right.is_prefix { "prefix" } else { "literal" };
    json!({ "operations": right.operations, "resource": { "name": right.name, "patternType": pattern, "type": kind } })
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
}
