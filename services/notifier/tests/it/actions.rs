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

#[tokio::test(flavor = "multi_thread")]
async fn a_snooze_ends_in_time_or_by_hand_and_the_audit_log_tells_how() {
    let world = World::new().await;
    let replica = world.start().await;
    let id = opened(&world, &replica).await;
    let snooze = |until: String| json!({ "until": until, "reason": "technician" });
    for body in [json!({}), snooze("tomorrow".into()), snooze("2020-01-01T00:00:00Z".into())] {
        let refused = problem(replica.act(&id, "snooze", &body, None).await, StatusCode::BAD_REQUEST).await;
        assert_eq!(refused["errors"][0]["pointer"], "/until", "{body}");
    }
    let later = replica.act(&id, "snooze", &snooze("2099-01-01T00:00:00Z".into()), Some("1")).await;
    let later: serde_json::Value = later.json().await.unwrap();
    assert_eq!((&later["state"], &later["snoozed_until"]), (&json!("SNOOZED"), &json!("2099-01-01T00:00:00.000000Z")));
    assert_eq!(replica.act(&id, "unsnooze", &json!({}), Some("2")).await.status(), StatusCode::OK);
    let soon = events::Timestamp::from(std::time::SystemTime::now()).saturating_add(std::time::Duration::from_millis(300));
    assert_eq!(replica.act(&id, "snooze", &snooze(soon.to_string()), Some("3")).await.status(), StatusCode::OK);
    testkit::eventually("the snooze ends", || async {
        (replica.get(&format!("/v1/notifications/{id}")).await["state"] == "OPEN").then_some(())
    })
    .await;
    let audit = replica.get(&format!("/v1/notifications/{id}/events")).await;
    let told = audit["data"].as_array().unwrap().iter().map(|event| {
        let change = &event["change"];
        [&change["action"], &change["actor"], &change["reason"], &event["snoozed_until"]]
            .map(|part| part.as_str().unwrap_or("-").to_owned())
    });
    let expected = [
        ["opened", "temperature-alert", "CROSSED", "-"],
        ["snoozed", "bootstrap", "technician", "2099-01-01T00:00:00.000000Z"],
        ["unsnoozed", "bootstrap", "-", "-"],
        ["snoozed", "bootstrap", "technician", &soon.to_string()],
        ["snooze_ended", "notifier", "-", "-"],
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    assert!(audit["data"][1]["change"]["trace_id"].is_string() || audit["data"][1]["change"]["trace_id"].is_null());
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rise_in_severity_ends_a_snooze() {
    let world = World::new().await;
    let replica = world.start().await;
    let alert = firing("sensor-01");
    world.alerts(std::slice::from_ref(&alert), 1).await;
    let id = replica.get("/v1/notifications").await["data"][0]["notification_id"].as_str().unwrap().to_owned();
    replica.act(&id, "snooze", &json!({ "until": "2099-01-01T00:00:00Z" }), None).await;
    let same = then(&alert, AlertState::Firing);
    let worse = events::TemperatureAlert { severity: events::Severity::Critical, ..then(&same, AlertState::Firing) };
    world.alerts(&[same], 3).await;
    assert_eq!(replica.get(&format!("/v1/notifications/{id}")).await["state"], "SNOOZED");
    world.alerts(&[worse], 4).await;
    let now = replica.get(&format!("/v1/notifications/{id}")).await;
    assert_eq!((&now["state"], &now["severity"], &now["snoozed_until"]), (&json!("OPEN"), &json!("CRITICAL"), &json!(null)));
    assert_eq!(now["change"]["action"], "raised");
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_changed_at_once_with_a_result_for_each() {
    let world = World::new().await;
    let replica = world.start().await;
    world.alerts(&[firing("sensor-01"), firing("sensor-02")], 2).await;
    let page = replica.get("/v1/notifications").await;
    let mut ids: Vec<&str> = page["data"].as_array().unwrap().iter().map(|n| n["notification_id"].as_str().unwrap()).collect();
    replica.act(ids[0], "resolve", &json!({}), None).await;
    ids.extend(["7c9e6679-7425-50de-944b-e07fc1f90ae7", "nonsense"]);
    let asked = &replica;
    let bulk = |body: serde_json::Value| async move {
        asked.request(reqwest::Method::POST, "/v1/notifications/bulk").bearer_auth(crate::world::KEY).json(&body).send().await.unwrap()
    };
    let result: serde_json::Value =
        bulk(json!({ "action": "acknowledge", "notification_ids": ids, "reason": "power cut" })).await.json().await.unwrap();
    let told: Vec<(i64, &serde_json::Value)> =
        result["data"].as_array().unwrap().iter().map(|item| (item["status"].as_i64().unwrap(), &item["state"])).collect();
    let none = json!(null);
    assert_eq!(told, [(409, &none), (200, &json!("ACKNOWLEDGED")), (404, &none), (404, &none)]);
    for body in [
        json!({ "action": "acknowledge", "notification_ids": [] }),
        json!({ "action": "explode", "notification_ids": ids }),
        json!({ "action": "snooze", "notification_ids": ids }),
        json!({ "action": "resolve", "notification_ids": ids, "until": "2099-01-01T00:00:00Z" }),
    ] {
        problem(bulk(body).await, StatusCode::BAD_REQUEST).await;
    }
    replica.stop().await;
}
