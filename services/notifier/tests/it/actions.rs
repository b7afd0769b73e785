use reqwest::StatusCode;
use serde_json::json;

use crate::world::{Replica, World, firing, problem, then};
use events::AlertState;

async fn opened(world: &World, replica: &Replica) -> String {
    world.alerts(&[firing("sensor-01")], 1).await;
    replica.get("/v1/notifications").await["data"][0]["notification_id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn people_acknowledge_resolve_and_take_it_back() {
    let world = World::new().await;
    let replica = world.start().await;
    let id = opened(&world, &replica).await;
    for (version, action, state) in
        [(2, "acknowledge", "ACKNOWLEDGED"), (3, "unacknowledge", "OPEN"), (4, "resolve", "RESOLVED"), (5, "reopen", "OPEN")]
    {
        let response = replica.act(&id, action, &json!({ "reason": "door" }), Some(&format!("\"{}\"", version - 1))).await;
        assert_eq!(response.status(), StatusCode::OK, "{action}");
        assert_eq!(response.headers()["etag"], format!("\"{version}\"").as_str());
        let changed: serde_json::Value = response.json().await.unwrap();
        assert_eq!((changed["state"].as_str(), changed["version"].as_i64()), (Some(state), Some(version)));
        assert_eq!((&changed["change"]["actor"], &changed["change"]["reason"]), (&json!("bootstrap"), &json!("door")));
        assert_eq!(changed, replica.get(&format!("/v1/notifications/{id}")).await);
    }
    let audit = replica.get(&format!("/v1/notifications/{id}/events")).await;
    let actions: Vec<&str> = audit["data"].as_array().unwrap().iter().map(|event| event["change"]["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["opened", "acknowledged", "unacknowledged", "resolved", "reopened"]);
    assert_eq!(world.relay().await, 5);
    let published: Vec<events::Notification> = testkit::capture(&world.kit, "notifications.v1").events(5).await;
    assert_eq!(published.iter().map(|version| version.version).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_version_is_refused_and_an_illegal_transition_too() {
    let world = World::new().await;
    let replica = world.start().await;
    let id = opened(&world, &replica).await;
    let stale = problem(replica.act(&id, "acknowledge", &json!({}), Some("\"7\"")).await, StatusCode::PRECONDITION_FAILED).await;
    assert_eq!(stale["errors"][0]["header"], "If-Match");
    problem(replica.act(&id, "acknowledge", &json!({}), Some("seven")).await, StatusCode::BAD_REQUEST).await;
    problem(replica.act(&id, "reopen", &json!({}), Some("1")).await, StatusCode::CONFLICT).await;
    problem(replica.act(&id, "unacknowledge", &json!({}), None).await, StatusCode::CONFLICT).await;
    let missing = uuid::Uuid::new_v4().to_string();
    problem(replica.act(&missing, "resolve", &json!({}), None).await, StatusCode::NOT_FOUND).await;
    assert_eq!(replica.get(&format!("/v1/notifications/{id}")).await["version"], 1);
    assert_eq!(world.count("outbox").await, 1);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_act_on_one_version_one_succeeds() {
    let world = World::new().await;
    let replica = world.start().await;
    let id = opened(&world, &replica).await;
    let body = json!({});
    let asked = futures::future::join_all((0..16).map(|_| replica.act(&id, "acknowledge", &body, Some("1")))).await;
    let succeeded = asked.iter().filter(|response| response.status() == StatusCode::OK).count();
    let refused = asked.iter().filter(|response| response.status() == StatusCode::PRECONDITION_FAILED).count();
    assert_eq!((succeeded, refused), (1, 15));
    assert_eq!(world.count("notification_event").await, 2);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_a_successor_is_not_reopened() {
    let world = World::new().await;
    let replica = world.start().await;
    let first = firing("sensor-01");
    let second = events::TemperatureAlert { started_at: then(&first, AlertState::Firing).changed_at, ..firing("sensor-01") };
    world.alerts(&[first.clone(), then(&first, AlertState::Resolved), second], 3).await;
    let resolved = replica.get("/v1/notifications?state=RESOLVED").await["data"][0]["notification_id"].as_str().unwrap().to_owned();
    let refused = problem(replica.act(&resolved, "reopen", &json!({}), None).await, StatusCode::CONFLICT).await;
    assert_eq!(refused["type"], "urn:fieldwatch:problem:illegal-transition");
    replica.stop().await;
}
