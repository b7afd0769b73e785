//! What devices do about notifications: each command once for each opening, whoever reads or decides again.

use events::{Anomaly, AnomalyState, Command, CommandOutcome, Scene, Timestamp, headers};
use serde_json::{Value, json};
use stream::{Cause as Origin, EventWriter};
use testkit::{capture, eventually};

use crate::device_commands::{becomes, issue, result, set};
use crate::world::{Replica, World, firing};

fn anomaly(device_id: &str, confidence: f64) -> Anomaly {
    let example: Anomaly = serde_json::from_str(include_str!("../../../../schemas/golden/anomaly-1.json")).unwrap();
    let now = Timestamp::from(std::time::SystemTime::now());
    let anomaly_id = uuid::Uuid::new_v4().to_string();
    Anomaly { anomaly_id, device_id: device_id.into(), confidence, started_at: now, changed_at: now, ..example }
}

/// What a model is sure of cools the device and makes its surroundings safe.
async fn configure(replica: &Replica) {
    replica
        .put(
            "/v1/scenes/safe",
            &json!({ "members": [{ "device_id": "oven-01", "name": "stop" }, { "device_id": "door-01", "name": "open" }] }),
        )
        .await;
    let command = json!({ "name": "cool", "arguments": { "fan": "on" }, "desired_state": { "fan": "on" }, "expires_in": "2m" });
    replica.put("/v1/receivers/cooling", &json!({ "commands": [command], "scenes": ["safe"] })).await;
    let sure = json!({ "matchers": ["kind=\"anomaly\"", "confidence>0.7"], "receiver": "cooling" });
    replica.put("/v1/routes", &json!({ "receiver": "none", "routes": [sure] })).await;
}

/// Waits until what was queued is done.
async fn dispatched(world: &World, notifications: i64) {
    eventually("what has to be told is on its way", || async {
        (world.count("notification").await == notifications && world.count("dispatch").await == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anomaly_a_model_is_sure_of_issues_its_commands_once_however_often_it_is_read() {
    let world = World::new().await;
    let (replica, other) = (world.start().await, world.start().await);
    configure(&replica).await;
    let (sure, unsure) = (anomaly("sensor-01", 0.71), anomaly("sensor-02", 0.7));
    let writer = EventWriter::new("anomaly-detector", &world.kit.kafka).with::<Anomaly>(&world.kit.registry).await.unwrap();
    let origin = Origin { correlation_id: Some("the-first-reading".into()), ..Origin::default() };
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().ok();
    let record = writer.record(&sure, &origin, trace).unwrap();
    world.kit.publish_records(vec![record.clone(), record.clone()]).await;
    world.kit.publish(&[unsure]).await;
    dispatched(&world, 2).await;
    // The log is read once more, and the queue has the same news once more.
    world.kit.publish_records(vec![record]).await;
    let again = "INSERT INTO dispatch (tenant, notification_id, news) SELECT tenant, notification_id, version FROM notification";
    sqlx::query(again).execute(&world.pool).await.unwrap();
    dispatched(&world, 2).await;
    assert_eq!((world.count("device_command").await, world.count("scene_run").await), (3, 1));
    assert_eq!(world.count("outbox WHERE topic LIKE '%commands.v1' OR topic LIKE '%scenes.v1'").await, 4);
    // It has nobody to tell.
    assert_eq!((world.count("delivery_group").await, world.count("delivery").await), (0, 0));

    world.relay().await;
    let mut topic = capture(&world.kit, "commands.v1");
    let records = topic.records(3).await;
    let mut issued: Vec<Command> = Vec::new();
    for record in &records {
        assert_eq!(record.header(headers::CORRELATION_ID), Some("the-first-reading"));
        issued.push(topic.event(record).await);
    }
    let cool = issued.iter().find(|command| command.name == "cool").unwrap();
    assert_eq!(
        (cool.device_id.as_str(), cool.issued_by.as_str(), cool.arguments.as_str()),
        ("sensor-01", "route:cooling", r#"{"fan":"on"}"#)
    );
    assert_eq!((cool.expires_at.as_micros() - cool.issued_at.as_micros(), cool.scene_id), (120_000_000, None));
    let scene: Scene = capture(&world.kit, "scenes.v1").events(1).await.remove(0);
    assert_eq!((scene.name.as_str(), scene.issued_by.as_str(), scene.commands.len()), ("safe", "route:cooling", 2));
    assert_eq!(issued.iter().filter(|command| command.scene_id == Some(scene.scene_id)).count(), 2);
    replica.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_opening_is_acted_on_and_what_only_goes_on_is_not() {
    let world = World::new().await;
    let replica = world.start().await;
    configure(&replica).await;
    let first = anomaly("sensor-01", 0.9);
    let cools = "device_command WHERE name = 'cool'";
    world.kit.publish(std::slice::from_ref(&first)).await;
    eventually("it was acted on", || async { (world.count(cools).await == 1).then_some(()) }).await;
    // Folded in, acknowledged and given back: the same opening.
    let later = first.changed_at.saturating_add(std::time::Duration::from_secs(1));
    world.kit.publish(&[Anomaly { confidence: 0.95, changed_at: later, ..first.clone() }]).await;
    eventually("it is folded in", || async { (world.count("notification WHERE version = 2").await == 1).then_some(()) }).await;
    let id = replica.get("/v1/notifications").await["data"][0]["notification_id"].as_str().unwrap().to_owned();
    for (action, commands) in [("acknowledge", 1), ("unacknowledge", 1), ("resolve", 1), ("reopen", 2)] {
        assert_eq!(replica.act(&id, action, &json!({}), None).await.status(), 200, "{action}");
        eventually(action, || async { (world.count("dispatch").await == 0 && world.count(cools).await == commands).then_some(()) }).await;
    }
    // Its end, and another one.
    let end = later.saturating_add(std::time::Duration::from_secs(1));
    let next = Anomaly { started_at: end, changed_at: end, ..anomaly("sensor-01", 0.8) };
    world.kit.publish(&[Anomaly { state: AnomalyState::Closed, changed_at: end, ..first }, next]).await;
    eventually("the next one was acted on", || async { (world.count(cools).await == 3).then_some(()) }).await;
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_became_of_a_command_leads_to_no_command_and_silence_to_none_either() {
    let world = World::new().await;
    let replica = world.start().await;
    let retry = json!({ "commands": [{ "name": "set", "arguments": { "again": true } }] });
    replica.put("/v1/receivers/retry", &retry).await;
    replica.put("/v1/routes", &json!({ "receiver": "retry" })).await;
    let issued = issue(&replica, &set("fan-01")).await;
    world.kit.publish(&[result(&issued, CommandOutcome::Failed, 1, 1)]).await;
    becomes(&replica, &issued, "FAILED").await;
    dispatched(&world, 1).await;
    assert_eq!(world.count("device_command").await, 1);
    // The same receiver does act on everything else.
    let silence = json!({ "matchers": ["device_id=sensor-02"], "starts_at": "2026-01-01T00:00:00Z", "ends_at": "2126-01-01T00:00:00Z" });
    replica.put("/v1/silences/works", &silence).await;
    world.alerts(&[firing("sensor-01"), firing("sensor-02")], 3).await;
    dispatched(&world, 3).await;
    let commands = replica.get("/v1/commands").await;
    let devices: Vec<&Value> = commands["data"].as_array().unwrap().iter().map(|command| &command["device_id"]).collect();
    assert_eq!(devices, ["sensor-01", "fan-01"]);
    let told = replica.post("/v1/routes/test", &json!({ "kind": "alert", "device_id": "sensor-01" })).await;
    let told: Value = told.json().await.unwrap();
    assert_eq!(
        (&told["routes"][0]["acts"], &told["routes"][0]["verdict"]),
        (&json!(["set to sensor-01"]), &json!("acted on at once, told to nobody"))
    );
    replica.stop().await;
}
