use std::time::Duration;

use events::{Event, TemperatureAlert};
use serde_json::{Value, json};
use testkit::{Cable, Kit};

use crate::{fieldctl, succeed};

/// A folder with the alert's schema after `change`.
fn changed(change: impl FnOnce(&mut Vec<Value>)) -> tempfile::TempDir {
    let mut schema: Value = serde_json::from_str(TemperatureAlert::SCHEMA.json).unwrap();
    change(schema["fields"].as_array_mut().unwrap());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("temperature-alert.avsc"), schema.to_string()).unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incompatible_schema_is_refused_with_subject_and_field() {
    let kit = Kit::with_topics(&[]).await;
    assert_eq!(succeed(&kit, "schemas apply").await.out.lines().count(), events::SCHEMAS.len());
    succeed(&kit, "schemas apply").await;
    let subject = format!("{}alerts.temperature.v1-value", kit.prefix());

    let added = changed(|fields| fields.push(json!({"name": "urgency", "type": "string"})));
    let removed = changed(|fields| fields.retain(|field| field["name"] != "rule_version"));
    for (folder, field) in [(&added, "urgency"), (&removed, "rule_version")] {
        let line = format!("--dir {}", folder.path().display());
        let applied = fieldctl(&kit, &format!("schemas apply {line}")).await;
        assert_eq!(applied.status, fieldctl::FAILURE, "{applied:?}");
        for expected in [subject.as_str(), &format!("field {field} "), "registry: ", "409"] {
            assert!(applied.out.contains(expected), "{expected} is not in {applied:?}");
        }
        let checked = fieldctl(&kit, &format!("schemas check {line}")).await;
        assert!(checked.status == fieldctl::FAILURE && checked.out.contains(&format!("field {field} ")), "{checked:?}");
    }
    assert_eq!(kit.registry.versions(&subject).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compatible_schema_becomes_the_next_version() {
    let kit = Kit::with_topics(&[]).await;
    succeed(&kit, "schemas apply").await;
    let optional = changed(|fields| fields.push(json!({"name": "urgency", "type": ["null", "string"], "default": null})));
    let line = format!("--dir {}", optional.path().display());
    succeed(&kit, &format!("schemas check {line}")).await;
    succeed(&kit, &format!("schemas apply {line}")).await;
    let subject = format!("{}alerts.temperature.v1-value", kit.prefix());
    assert_eq!(kit.registry.versions(&subject).await.unwrap().len(), 2);
    // The release before still fits: it may be rolled back to.
    succeed(&kit, "schemas apply").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_away_for_a_moment_is_asked_again() {
    let mut kit = Kit::with_topics(&[]).await;
    let cable = Cable::plug(&kit.registry_config.url).await;
    kit.registry_config.url.clone_from(&cable.url);
    cable.set(false);
    let back = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        cable.set(true);
    };
    let ((), applied) = tokio::join!(back, succeed(&kit, "schemas apply"));
    assert_eq!(applied.out.lines().count(), events::SCHEMAS.len());
}
