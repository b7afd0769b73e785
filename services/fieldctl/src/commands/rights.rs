//! Who may do what in Kafka, from `schemas/topics.yaml`: a user for each service, with no more rights than it needs.

use std::collections::BTreeSet;

use stream::KafkaConfig;
use stream::admin::Declared;

/// Applies topics and redrives dead letters: it may touch everything.
const ADMINISTRATOR: &str = "fieldctl";
/// Scales by lag: sees how far groups are behind, and reads nothing.
const LAG_OBSERVER: &str = "lag-observer";

/// A user of the cluster, and its rights.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) rights: Vec<Right>,
}

/// Operations that are allowed on what has this name, or begins with it. Kafka's Read and Write include Describe.
#[derive(Debug)]
pub(crate) struct Right {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) is_prefix: bool,
    pub(crate) operations: Vec<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Topic,
    Group,
    TransactionalId,
}

/// The services, then who looks at lag, then the administrator.
pub(crate) fn users(declared: &[Declared], kafka: &KafkaConfig) -> Vec<User> {
    let services: BTreeSet<&str> =
        declared.iter().flat_map(|topic| [topic.owner.as_str(), topic.writer()]).filter(|name| *name != ADMINISTRATOR).collect();
    let mut users: Vec<User> =
        services.into_iter().map(|service| User { name: service.to_owned(), rights: of_service(service, declared, kafka) }).collect();
    let inputs = declared.iter().filter(|topic| !topic.readers.is_empty());
    let mut looks: Vec<Right> = inputs.map(|topic| right(Kind::Topic, kafka.prefixed(&topic.name), &["Describe"])).collect();
    looks.push(right(Kind::Group, "*".to_owned(), &["Describe"]));
    users.push(User { name: LAG_OBSERVER.to_owned(), rights: looks });
    let everything = ["Create", "Delete", "Alter", "AlterConfigs", "Describe", "DescribeConfigs", "Read", "Write"];
    let administers = vec![right(Kind::Topic, "*".to_owned(), &everything), right(Kind::Group, "*".to_owned(), &["Describe", "Read"])];
    users.push(User { name: ADMINISTRATOR.to_owned(), rights: administers });
    users
}

/// Its topics, its inputs, its groups and, where it is an operator, its transactions: nothing else.
fn of_service(service: &str, declared: &[Declared], kafka: &KafkaConfig) -> Vec<Right> {
    let mut rights: Vec<Right> = declared
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
            Some(right(Kind::Topic, kafka.prefixed(&topic.name), operations))
        })
        .collect();
    // Its stages' groups and transactions begin with its name.
    let own = |kind, operation| Right { is_prefix: true, ..right(kind, kafka.prefixed(service), &[operation]) };
    if declared.iter().any(|topic| topic.readers.iter().any(|reader| reader == service)) || owns_dead_letters(service, service, declared) {
        rights.push(own(Kind::Group, "Read"));
    }
    if declared.iter().any(|topic| topic.state && topic.owner == service) {
        rights.push(own(Kind::TransactionalId, "Write"));
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

fn right(kind: Kind, name: String, operations: &[&'static str]) -> Right {
    Right { kind, name, is_prefix: false, operations: operations.to_vec() }
}

/// As arguments of `kafka-acls --add`: a line for each set of operations that a user has on resources of one kind.
pub(crate) fn as_arguments(user: &User) -> Vec<String> {
    let mut lines: Vec<(String, String)> = Vec::new();
    for right in &user.rights {
        let operations: Vec<String> = right.operations.iter().map(|operation| format!("--operation {operation}")).collect();
        let pattern = if right.is_prefix { "prefixed" } else { "literal" };
        let option = match right.kind {
            Kind::Topic => "--topic",
            Kind::Group => "--group",
            Kind::TransactionalId => "--transactional-id",
        };
        let start = format!("--allow-principal User:{} {} --resource-pattern-type {pattern}", user.name, operations.join(" "));
        let resource = format!(" {option} {}", right.name);
        match lines.iter_mut().find(|(other, resources)| *other == start && resources.starts_with(&format!(" {option} "))) {
            Some((_, resources)) => resources.push_str(&resource),
            None => lines.push((start, resource)),
        }
    }
    lines.into_iter().map(|(start, resources)| start + &resources).collect()
}

#[cfg(test)]
mod tests {
    use events::topics::CATALOGUE;
    use stream::admin::Catalogue;

    use super::*;
    use crate::config::Config;

    fn all() -> Vec<User> {
        users(Catalogue::parse(CATALOGUE).unwrap().declared(), &Config::load(None, Vec::new()).unwrap().kafka)
    }

    fn operations(user: &str, topic: &str) -> Vec<&'static str> {
        let users = all();
        let user = users.iter().find(|one| one.name == user).unwrap();
        user.rights.iter().find(|right| right.name == topic).map_or_else(Vec::new, |right| right.operations.clone())
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
        let users = all();
        for one in &users {
            assert!(
                !users.iter().any(|other| one.name != other.name && other.name.starts_with(&one.name)),
                "{one:?} could use another's groups"
            );
        }
    }

    #[test]
    fn as_arguments_every_right_is_there() {
        let users = all();
        let relay = users.iter().find(|user| user.name == "outbox-relay").unwrap();
        assert_eq!(
            as_arguments(relay),
            [
                "--allow-principal User:outbox-relay --operation Write --resource-pattern-type literal --topic notifications.v1 --topic commands.v1 --topic scenes.v1"
            ]
        );
        for user in &users {
            let text = as_arguments(user).join("\n");
            assert!(user.rights.iter().all(|right| text.contains(&right.name)), "{text}");
        }
    }
}
