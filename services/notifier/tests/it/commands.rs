//! The notifier's own commands, as processes.

use std::process::{Command, Output};

use events::AlertState;
use serde_json::{Value, json};

use crate::endpoint::Endpoint;
use crate::world::{SECRETS_KEY, World, firing, then};

async fn notifier(world: &World, arguments: &[&str]) -> Output {
    let overrides = [
        ("NOTIFIER__SECRETS__KEY", SECRETS_KEY),
        ("NOTIFIER__DELIVERY__ALLOWED_NETWORKS", "[\"127.0.0.0/8\"]"),
        ("NOTIFIER__SMTP__HOST", "mail.example.com"),
        ("NOTIFIER__SMTP__FROM", "alerts@example.com"),
    ];
    let mut command = Command::new(env!("CARGO_BIN_EXE_notifier"));
    command.args(arguments).envs(world.environment(&overrides));
    // Off the runtime: the API that stays up has to answer meanwhile.
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

async fn succeeds(world: &World, arguments: &[&str]) -> String {
    let output = notifier(world, arguments).await;
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Every row that a rebuild makes, as text.
async fn rows(world: &World) -> Vec<String> {
    let query = "SELECT n::text FROM notification n UNION ALL SELECT e::text FROM notification_event e
                 UNION ALL SELECT tenant || dedup_key || notification_id::text FROM notification_key ORDER BY 1";
    sqlx::query_scalar(query).fetch_all(&world.pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_notifications_are_rebuilt_to_the_same_rows_while_the_api_stays_up() {
    let world = World::new().await;
    let replica = world.start().await;
    let first = firing("sensor-01");
    let second = events::TemperatureAlert { started_at: then(&first, AlertState::Firing).changed_at, ..firing("sensor-01") };
    let others: Vec<_> = (2..20).map(|device| firing(&format!("sensor-{device:02}"))).collect();
    world.alerts(&[&[first.clone(), then(&first, AlertState::Resolved), second][..], &others].concat(), 21).await;
    let page = replica.get("/v1/notifications?state=OPEN").await;
    let ids: Vec<&str> = page["data"].as_array().unwrap().iter().map(|n| n["notification_id"].as_str().unwrap()).collect();
    replica.act(ids[0], "acknowledge", &json!({ "reason": "seen" }), None).await;
    replica.act(ids[1], "snooze", &json!({ "until": "2099-01-01T00:00:00Z" }), None).await;
    world.relay().await;
    // And what the relay has not published yet.
    replica.act(ids[2], "resolve", &json!({}), None).await;
    replica.act(ids[2], "reopen", &json!({}), None).await;
    let before = rows(&world).await;

    let during = async {
        loop {
            let unresolved = replica.get("/v1/notifications?state=OPEN&state=ACKNOWLEDGED&state=SNOOZED").await;
            assert_eq!(unresolved["data"].as_array().unwrap().len(), 19);
        }
    };
    let told = tokio::select! {
        told = succeeds(&world, &["rebuild"]) => told,
        () = during => unreachable!("it asks for ever"),
    };
    assert_eq!(told.trim(), "20 notifications with 25 versions");
    assert_eq!(rows(&world).await, before);
    world.counted().await;

    // From nothing at all, and life goes on where it was.
    sqlx::query("TRUNCATE notification, notification_event, notification_key").execute(&world.pool).await.unwrap();
    succeeds(&world, &["rebuild"]).await;
    assert_eq!(rows(&world).await, before);
    world.counted().await;
    world.alerts(&[then(&others[0], AlertState::Resolved)], 26).await;
    assert_eq!(replica.get("/v1/notifications?device_id=sensor-02").await["data"][0]["state"], "RESOLVED");
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_configured_is_exported_and_applied_as_a_file() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fieldwatch.json");
    let file = path.to_str().unwrap();
    let endpoint = Endpoint::start().await;
    let write = |value: &Value| std::fs::write(&path, value.to_string()).unwrap();
    let slack = "https://hooks.example.com/services/T0/B0/very-secret";
    let whole = json!({
        "webhooks": { "hook": { "url": endpoint.url }, "chat": { "url": slack, "format": "slack" } },
        "emails": { "on-call": { "to": ["anna@example.com", "ben@example.com"] } },
        "receivers": { "ops": { "webhooks": ["hook", "chat"], "emails": ["on-call"], "heartbeat": true } },
        "routes": { "receiver": "ops", "group_wait": "1s" }
    });
    write(&whole);
    let told = succeeds(&world, &["config", "apply", file]).await;
    assert!(told.starts_with("hook  whsec_") && told.lines().count() == 1, "{told}");

    let exported = succeeds(&world, &["config", "export"]).await;
    assert!(!exported.contains("very-secret") && !exported.contains("whsec_"), "{exported}");
    // An export applies again, and changes nothing: secrets stay.
    std::fs::write(&path, &exported).unwrap();
    assert_eq!(succeeds(&world, &["config", "apply", file]).await, "");
    assert_eq!(succeeds(&world, &["config", "export"]).await, exported);
    let with_secrets = succeeds(&world, &["config", "export", "--with-secrets"]).await;
    assert!(with_secrets.contains("very-secret") && with_secrets.contains(told.trim().split_once("  ").unwrap().1));
    // Somewhere else it makes the same.
    let elsewhere = World::new().await;
    std::fs::write(&path, &with_secrets).unwrap();
    succeeds(&elsewhere, &["config", "apply", file]).await;
    assert_eq!(succeeds(&elsewhere, &["config", "export", "--with-secrets"]).await, with_secrets);

    write(
        &json!({ "receivers": { "ops": { "webhooks": ["missing"] } }, "emails": { "x": { "to": ["nobody"] } }, "routes": { "receiver": "who" } }),
    );
    let refused = notifier(&world, &["config", "apply", file]).await;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success()
            && said.contains("/receivers/ops/webhooks/0")
            && said.contains("/emails/x/to/0")
            && said.contains("/routes/receiver"),
        "{said}"
    );
    assert_eq!(succeeds(&world, &["config", "export"]).await, exported);
}
