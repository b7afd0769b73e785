//! What others tell, and what would become of it.

use events::{DeviceState, DeviceStatus, Timestamp};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::eventually;

use crate::world::{KEY, Replica, World, firing, problem};

async fn tell(replica: &Replica, key: Option<&str>, body: &Value) -> reqwest::Response {
    let request = replica.request(Method::POST, "/v1/events").bearer_auth(KEY).json(body);
    key.into_iter().fold(request, |request, key| request.header("idempotency-key", key)).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn others_trigger_acknowledge_and_resolve() {
    let world = World::new().await;
    let replica = world.start().await;
    let trigger = json!({ "action": "trigger", "dedup_key": "door/hall-2", "title": "The door of hall 2 is open", "severity": "CRITICAL" });
    let opened: Value = tell(&replica, None, &trigger).await.json().await.unwrap();
    assert_eq!((&opened["kind"], &opened["dedup_key"]), (&json!("external"), &json!("external/door/hall-2")));
    let folded: Value = tell(&replica, None, &trigger).await.json().await.unwrap();
    assert_eq!((&folded["notification_id"], &folded["version"]), (&opened["notification_id"], &json!(2)));
    for (action, state) in [("acknowledge", "ACKNOWLEDGED"), ("resolve", "RESOLVED")] {
        let changed: Value = tell(&replica, None, &json!({ "action": action, "dedup_key": "door/hall-2" })).await.json().await.unwrap();
        assert_eq!((&changed["state"], &changed["change"]["actor"]), (&json!(state), &json!("bootstrap")));
    }
    problem(tell(&replica, None, &json!({ "action": "resolve", "dedup_key": "door/hall-2" })).await, StatusCode::NOT_FOUND).await;
    let next: Value = tell(&replica, None, &trigger).await.json().await.unwrap();
    assert_eq!(next["links"]["previous"], format!("/v1/notifications/{}", opened["notification_id"].as_str().unwrap()));

    // A paging tool knows the key of an alert from its delivery.
    world.alerts(&[firing("sensor-01")], 6).await;
    let alert = "alert/high-temperature/sensor-01/temperature";
    let acknowledged: Value = tell(&replica, None, &json!({ "action": "acknowledge", "dedup_key": alert })).await.json().await.unwrap();
    assert_eq!((&acknowledged["kind"], &acknowledged["acknowledged_by"]), (&json!("alert"), &json!("bootstrap")));
    for wrong in [
        json!({}),
        json!({ "action": "trigger", "dedup_key": "x" }),
        json!({ "action": "trigger", "dedup_key": "", "title": "x" }),
        json!({ "action": "trigger", "dedup_key": "x", "title": "a\u{0}b" }),
        json!({ "action": "trigger", "dedup_key": "x", "title": "x", "severity": "UNKNOWN" }),
        json!({ "action": "explode", "dedup_key": "x" }),
    ] {
        problem(tell(&replica, None, &wrong).await, StatusCode::BAD_REQUEST).await;
    }
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_an_idempotency_key_has_its_effect_once() {
    let world = World::new().await;
    let (replica, other) = (world.start().await, world.start().await);
    let trigger = json!({ "action": "trigger", "dedup_key": "door", "title": "The door is open" });
    let first = tell(&replica, Some("k1"), &trigger).await;
    assert!(!first.headers().contains_key("idempotency-replayed"));
    let first: Value = first.json().await.unwrap();
    let again = tell(&other, Some("k1"), &trigger).await;
    assert_eq!((again.status(), again.headers()["idempotency-replayed"].to_str().unwrap()), (StatusCode::OK, "true"));
    assert_eq!(again.json::<Value>().await.unwrap(), first);
    let changed = json!({ "action": "trigger", "dedup_key": "door", "title": "The window is open" });
    problem(tell(&replica, Some("k1"), &changed).await, StatusCode::UNPROCESSABLE_ENTITY).await;
    problem(tell(&replica, Some(""), &trigger).await, StatusCode::BAD_REQUEST).await;

    // While the first is under way, held up by someone who changes the same notification, the second is told so.
    let mut holding = world.pool.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM notification_key FOR UPDATE").execute(&mut *holding).await.unwrap();
    let under_way = async {
        let held = "pg_locks WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        eventually("the first is under way", || async { (world.count(held).await > 0).then_some(()) }).await;
        let refused = problem(tell(&other, Some("k4"), &trigger).await, StatusCode::CONFLICT).await;
        assert_eq!(refused["detail"], "The same request is being worked on.");
        holding.rollback().await.unwrap();
    };
    let (held_up, ()) = tokio::join!(tell(&replica, Some("k4"), &trigger), under_way);
    assert_eq!(held_up.status(), StatusCode::OK);

    // At the same time: one has the effect, the others are told that, or to wait.
    let asked =
        futures::future::join_all((0..12).map(|turn| tell(if turn % 2 == 0 { &replica } else { &other }, Some("k2"), &trigger))).await;
    let statuses: Vec<StatusCode> = asked.iter().map(reqwest::Response::status).collect();
    assert!(statuses.iter().all(|status| [StatusCode::OK, StatusCode::CONFLICT].contains(status)), "{statuses:?}");
    assert!(statuses.contains(&StatusCode::OK));
    assert_eq!(world.count("notification_event").await, 3);
    // What failed is no answer: the key is still good.
    problem(tell(&replica, Some("k3"), &json!({ "action": "resolve", "dedup_key": "nothing" })).await, StatusCode::NOT_FOUND).await;
    assert_eq!(world.count("idempotency").await, 3);
    replica.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_asks_too_often_is_told_when_it_may_again() {
    let world = World::new().await;
    let replica = world.start_with(&[("NOTIFIER__API__REQUESTS_PER_SECOND", "1"), ("NOTIFIER__API__BURST", "3")]).await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(replica.ask(Method::GET, "/v1/me").await.status());
    }
    assert_eq!(statuses, [StatusCode::OK; 3]);
    let refused = eventually("one too many", || async {
        let answer = replica.ask(Method::GET, "/v1/me").await;
        (answer.status() != StatusCode::OK).then_some(answer)
    })
    .await;
    assert_eq!(refused.headers()["retry-after"], "1");
    problem(refused, StatusCode::TOO_MANY_REQUESTS).await;
    eventually("it may again", || async { (replica.ask(Method::GET, "/v1/me").await.status() == StatusCode::OK).then_some(()) }).await;
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_routes_explain_what_would_happen() {
    let world = World::new().await;
    let replica = world.start().await;
    replica.put("/v1/webhooks/hook", &json!({ "url": "https://hooks.example.com/" })).await;
    replica.put("/v1/receivers/ops", &json!({ "webhooks": ["hook"] })).await;
    replica
        .put(
            "/v1/mute-times/night",
            &json!({ "time_zone": "Europe/Berlin", "intervals": [{ "times": [{ "start_time": "00:00", "end_time": "06:00" }] }] }),
        )
        .await;
    let starts = "2026-01-31T10:00:00Z";
    replica
        .put("/v1/silences/works", &json!({ "matchers": ["group_id=hall"], "starts_at": starts, "ends_at": "2026-01-31T11:00:00Z" }))
        .await;
    let routes = json!({ "receiver": "ops", "routes": [{ "matchers": ["kind=anomaly"], "mute_times": ["night"] }, { "matchers": ["severity=INFO"], "receiver": "none" }] });
    replica.put("/v1/routes", &routes).await;
    let offline = DeviceStatus {
        tenant: "default".into(),
        device_id: "sensor-09".into(),
        state: DeviceState::Offline,
        reason: "will".into(),
        changed_at: Timestamp::from(std::time::SystemTime::now()),
    };
    world.kit.publish(&[offline]).await;
    eventually("it is offline", || async { (world.count("notification").await == 1).then_some(()) }).await;
    for (body, pointer, verdict) in [
        (json!({ "kind": "alert", "severity": "WARNING" }), "", "told to `ops` after 30s"),
        (json!({ "kind": "anomaly", "at": "2026-01-31T03:00:00Z" }), "/routes/0", "quiet for now: the mute time `night`"),
        (json!({ "kind": "anomaly", "at": "2026-01-31T05:00:00Z" }), "/routes/0", "told to `ops` after 30s"),
        (json!({ "severity": "INFO" }), "/routes/1", "stored only"),
        (json!({ "group_id": "hall", "at": starts }), "", "quiet: the silence `works` covers it"),
        (json!({ "kind": "alert", "device_id": "sensor-09" }), "", "quiet: its device is offline"),
        (json!({ "kind": "device-offline", "device_id": "sensor-09" }), "", "told to `ops` after 30s"),
    ] {
        let response = replica.post("/v1/routes/test", &body).await;
        assert_eq!(response.status(), StatusCode::OK);
        let told: Value = response.json().await.unwrap();
        assert_eq!((&told["routes"][0]["pointer"], &told["routes"][0]["verdict"]), (&json!(pointer), &json!(verdict)), "{body}");
    }
    problem(replica.post("/v1/routes/test", &json!({ "severity": "LOUD" })).await, StatusCode::BAD_REQUEST).await;
    replica.stop().await;
}
