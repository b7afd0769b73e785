//! The notifier as it is started in earnest: a process with environment variables.

use std::process::{Command, Output};

use events::TemperatureAlert;
use stream::{Cause, EventWriter};
use testkit::{OtlpReceiver, Process, eventually, free_port};

use crate::world::{Events, KEY, World, firing};

impl World {
    pub(crate) fn environment(&self, overrides: &[(&str, &str)]) -> Vec<(String, String)> {
        let own = [
            ("FIELDWATCH__KAFKA__TOPIC_PREFIX", self.kit.prefix()),
            ("NOTIFIER__DATABASE__URL", &self.database.url),
            ("NOTIFIER__ADMIN__LISTEN", "127.0.0.1:0"),
            ("NOTIFIER__API__LISTEN", "127.0.0.1:0"),
            ("BOOTSTRAP_KEY_FILE", self.key_file()),
        ];
        let own = own.iter().chain(overrides).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        // The database of `scripts/infra env` has a password file of its own.
        own.chain([("NOTIFIER__DATABASE__PASSWORD_FILE".to_owned(), String::new())]).collect()
    }
}

fn notifier(world: &World, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_notifier")).args(arguments).envs(world.environment(&[])).output().unwrap()
}

fn text(output: &[u8]) -> String {
    String::from_utf8(output.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_made_listed_and_revoked_from_the_command_line() {
    let world = World::new().await;
    let made = notifier(&world, &["keys", "create", "on-call", "--tenant", "acme", "--scope", "read", "--days", "7"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let key = text(&made.stdout).trim().to_owned();
    assert!(key.starts_with("fw_") && key.len() > 40);

    let replica = world.start().await;
    let me = || replica.request(reqwest::Method::GET, "/v1/me").bearer_auth(&key).send();
    let who: serde_json::Value = me().await.unwrap().json().await.unwrap();
    assert_eq!((&who["name"], &who["tenant"], &who["scopes"]), (&"on-call".into(), &"acme".into(), &serde_json::json!(["read"])));

    let listed = text(&notifier(&world, &["keys", "list"]).stdout);
    assert!(listed.contains("on-call") && listed.contains("until") && !listed.contains(&key), "{listed}");
    let key_id = who["key_id"].as_str().unwrap();
    assert!(notifier(&world, &["keys", "revoke", key_id]).status.success());
    assert_eq!(me().await.unwrap().status(), 401);
    assert!(!notifier(&world, &["keys", "revoke", key_id]).status.success());
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_goes_from_the_alert_to_the_frame() {
    let world = World::new().await;
    let traces = OtlpReceiver::start().await;
    let listen = format!("127.0.0.1:{}", free_port());
    let environment = world.environment(&[("NOTIFIER__API__LISTEN", &listen), ("FIELDWATCH__TELEMETRY__OTLP_ENDPOINT", &traces.endpoint)]);
    let process = Process::start("notifier", &environment).await;
    let request = reqwest::Client::new().get(format!("http://{listen}/v1/notifications/stream")).bearer_auth(KEY);
    let mut events = Events::of(request.send().await.unwrap());
    assert_eq!(events.next().await.unwrap().name, "snapshot");

    let writer = EventWriter::new("temperature-alert", &world.kit.kafka).with::<TemperatureAlert>(&world.kit.registry).await.unwrap();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().ok();
    world.kit.publish_records(vec![writer.record(&firing("sensor-01"), &Cause::default(), trace).unwrap()]).await;
    eventually("the alert is in the outbox", || async { (world.count("outbox").await == 1).then_some(()) }).await;
    world.relay().await;
    let told = events.next().await.unwrap();
    assert_eq!(told.data["change"]["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    drop(events);
    assert_eq!(process.terminate().await, Some(0));

    let spans: Vec<_> = traces.spans().into_iter().filter(|span| span.trace_id == "4bf92f3577b34da6a3ce929d0e0e4736").collect();
    let process = spans.iter().find(|span| span.name.starts_with("process ")).unwrap_or_else(|| panic!("{spans:#?}"));
    let frame = spans.iter().find(|span| span.name == "publish sse").unwrap_or_else(|| panic!("{spans:#?}"));
    assert_eq!(process.parent_id, "00f067aa0ba902b7");
    assert_eq!(frame.parent_id, process.span_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_key_that_could_be_guessed_is_refused() {
    let world = World::new().await;
    std::fs::write(world.key_file(), "fw_short").unwrap();
    let refused = notifier(&world, &["run"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("api.bootstrap_key_file: a key begins with fw_"), "{}", text(&refused.stderr));
}
