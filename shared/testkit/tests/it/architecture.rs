use std::collections::BTreeMap;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

fn metadata() -> Metadata {
    MetadataCommand::new().no_deps().exec().unwrap()
}

/// The folder of a member below the workspace, e.g. `services/notifier`.
fn folder(metadata: &Metadata, package: &Package) -> String {
    let manifest = package.manifest_path.strip_prefix(&metadata.workspace_root).unwrap();
    manifest.parent().unwrap().to_string()
}

/// Members by folder, each with what it depends on outside tests.
fn dependencies(metadata: &Metadata) -> BTreeMap<String, Vec<String>> {
    let names = |package: &Package| {
        let shipped = package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Development);
        shipped.map(|dependency| dependency.name.clone()).collect()
    };
    metadata.packages.iter().map(|package| (folder(metadata, package), names(package))).collect()
}

/// Who may depend on what.
const ONLY_UNDER: [(&str, &[&str]); 4] = [
    ("rdkafka", &["shared/stream", "shared/testkit"]),
    ("rumqttc", &["services/mqtt-bridge", "services/fieldctl", "shared/testkit"]),
    ("ort", &["services/anomaly-detector"]),
    ("sqlx", &["services/notifier", "services/outbox-relay", "shared/outbox", "shared/testkit"]),
];

#[test]
fn clients_of_the_infrastructure_stay_where_they_belong() {
    let metadata = metadata();
    for (member, dependencies) in dependencies(&metadata) {
        for (client, allowed) in ONLY_UNDER {
            assert!(!dependencies.iter().any(|name| name == client) || allowed.contains(&member.as_str()), "{member} depends on {client}");
        }
    }
}

#[test]
fn services_do_not_import_each_other_and_shared_crates_import_no_service() {
    let metadata = metadata();
    let services: Vec<String> = metadata
        .packages
        .iter()
        .filter(|package| folder(&metadata, package).starts_with("services/"))
        .map(|package| package.name.to_string())
        .collect();
    for (member, dependencies) in dependencies(&metadata) {
        for service in &services {
            assert!(!dependencies.contains(service), "{member} depends on the service {service}");
        }
        assert!(!dependencies.iter().any(|name| name == "fieldwatch-testkit"), "{member} ships with testkit");
    }
}

#[test]
fn events_do_no_input_and_output() {
    let metadata = metadata();
    let events = &dependencies(&metadata)["shared/events"];
    for outside in ["tokio", "rdkafka", "reqwest", "sqlx", "fieldwatch-stream", "fieldwatch-service", "fieldwatch-telemetry"] {
        assert!(!events.iter().any(|name| name == outside), "shared/events depends on {outside}");
    }
}

#[test]
fn a_domain_imports_only_std_events_and_what_derives_and_names_errors() {
    let metadata = metadata();
    // jiff is the calendar: days and hours of a time zone, from a database in the binary.
    // regex_lite is text against text.
    let allowed = ["std", "core", "events", "crate", "super", "self", "jiff", "regex_lite", "serde", "serde_json", "thiserror", "uuid"];
    for entry in sources(&metadata, "services").into_iter().filter(|path| path.contains("/domain/") && !only_in_tests(path)) {
        let text = std::fs::read_to_string(&entry).unwrap();
        let shipped = text.split("#[cfg(test)]").next().unwrap_or_default();
        for line in shipped.lines().map(str::trim).filter(|line| line.starts_with("use ") || line.starts_with("pub use ")) {
            let root = line.trim_start_matches("pub ").trim_start_matches("use ").split([':', ';', ' ']).next().unwrap_or_default();
            let of_a_crate = root.starts_with(char::is_lowercase) && !text.contains(&format!("mod {root};"));
            assert!(!of_a_crate || allowed.contains(&root), "{entry}: {line}");
        }
    }
}

#[test]
fn the_runtime_names_no_concrete_event() {
    let metadata = metadata();
    for entry in sources(&metadata, "shared/stream/src") {
        let text = std::fs::read_to_string(&entry).unwrap();
        let shipped = text.split("#[cfg(test)]").next().unwrap_or_default();
        for schema in events::SCHEMAS {
            let named = shipped.contains(&format!("events::{}", schema.name)) || shipped.contains(&format!("{}::SCHEMA", schema.name));
            assert!(!named, "{entry} names {}", schema.name);
        }
    }
}

#[test]
fn every_topic_has_one_owner_that_exists() {
    let metadata = metadata();
    let catalogue = stream::admin::Catalogue::parse(events::topics::CATALOGUE).unwrap();
    for topic in catalogue.declared() {
        assert!(metadata.packages.iter().any(|package| *package.name == topic.owner), "{}: {} is no service", topic.name, topic.owner);
    }
}

#[test]
fn every_declared_metric_is_recorded_by_somebody() {
    let metadata = metadata();
    let declared = std::fs::read_to_string(metadata.workspace_root.join("shared/telemetry/metrics.yaml")).unwrap();
    let code: String = ["shared", "services"]
        .into_iter()
        .flat_map(|below| sources(&metadata, below))
        .filter(|path| path.contains("/src/") && !only_in_tests(path))
        .map(|path| std::fs::read_to_string(path).unwrap().split("#[cfg(test)]").next().unwrap_or_default().to_owned())
        .collect();
    for name in declared.split("name: ").skip(1).filter_map(|rest| rest.split(',').next()) {
        assert!(code.contains(&format!("\"{name}\"")), "{name} is declared and recorded by nobody");
    }
}

/// Whether the module beside it declares the file for tests only.
fn only_in_tests(path: &str) -> bool {
    let path = std::path::Path::new(path);
    let module = path.file_stem().unwrap().to_string_lossy();
    if module.ends_with("tests") {
        return true;
    }
    let parent = std::fs::read_to_string(path.with_file_name("mod.rs")).unwrap_or_default();
    let declared = |prefix: &str| parent.contains(&format!("#[cfg(test)]\n{prefix}mod {module};"));
    ["", "pub(crate) ", "pub(super) ", "pub "].into_iter().any(declared)
}

fn sources(metadata: &Metadata, below: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![metadata.workspace_root.join(below).into_std_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|ending| ending == "rs") {
                found.push(entry.display().to_string());
            }
        }
    }
    found
}
