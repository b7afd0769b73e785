//! Who is told of what, and when.

use std::time::Duration;

use events::{AlertState, DeviceState, DeviceStatus, Severity, TemperatureAlert, Timestamp};
use notifier::adapters::db::{Limits, Store};
use reqwest::StatusCode;
use serde_json::json;
use testkit::eventually;

use crate::endpoint::{Endpoint, quickly};
use crate::world::{World, firing, then};

fn now() -> Timestamp {
    Timestamp::from(std::time::SystemTime::now())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_told_of_once_by_two_replicas_and_of_its_end_once() {
    let world = World::new().await;
    let (replica, other) = (world.start().await, world.start().await);
    let endpoint = Endpoint::start().await;
    let mut routes = quickly();
    routes["group_wait"] = json!("1h");
    let secret = endpoint.configure(&replica, routes).await;
    let alerts = [firing("sensor-01"), firing("sensor-02"), firing("sensor-03")];
    world.alerts(&alerts, 3).await;
    eventually("all are in the group", || async { (world.count("delivery_member").await == 3).then_some(()) }).await;
    sqlx::query("UPDATE delivery_group SET next_flush_at = now()").execute(&world.pool).await.unwrap();
    let told = endpoint.deliveries(1).await.remove(0);
    assert_eq!(told.devices(), ["sensor-01", "sensor-02", "sensor-03"]);
    let body = told.json();
    assert_eq!((&body["type"], &body["reason"], &body["truncated"]), (&json!("notifications"), &json!("new"), &json!(0)));
    assert_eq!(body["group_key"], "/{}:{\"kind\":\"alert\"}");
    assert!(told.is_signed_with(&secret) && !told.is_signed_with("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));

    let ends: Vec<TemperatureAlert> = alerts.iter().map(|alert| then(alert, AlertState::Resolved)).collect();
    world.alerts(&ends, 6).await;
    eventually("the group is forgotten", || async { (world.count("delivery_group").await == 0).then_some(()) }).await;
    let all = endpoint.deliveries(2).await;
    let devices: usize = all[1..].iter().map(|told| told.devices().len()).sum();
    assert_eq!((devices, &all[1].json()["reason"]), (3, &json!("resolved")));
    let ids: std::collections::BTreeSet<&str> = all.iter().map(super::endpoint::Received::id).collect();
    assert_eq!((ids.len(), world.count("delivery").await as usize), (all.len(), all.len()));
    replica.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_would_take_a_group_one_tells() {
    let world = World::new().await;
    let replica = world.start().await;
    let endpoint = Endpoint::start().await;
    endpoint.configure(&replica, json!({ "receiver": "ops", "group_by": ["device_id"], "group_wait": "1h" })).await;
    let alerts: Vec<TemperatureAlert> = (0..30).map(|index| firing(&format!("sensor-{index}"))).collect();
    world.alerts(&alerts, 30).await;
    eventually("all are in their groups", || async { (world.count("delivery_group").await == 30).then_some(()) }).await;
    replica.stop().await;
    sqlx::query("UPDATE delivery_group SET next_flush_at = now()").execute(&world.pool).await.unwrap();
    let minute = Duration::from_mins(1);
    let limits = Limits { per_minute: 1_000, give_up_after: minute, heartbeat: minute };
    let store = Store::new(&world.config(&[]).database).unwrap();
    let take_all = async || {
        let mut made = 0;
        while let Some(flushed) = store.flush_group(&limits).await.unwrap() {
            made += flushed.deliveries;
        }
        made
    };
    let made = futures::future::join_all((0..8).map(|_| take_all())).await;
    assert_eq!((made.iter().sum::<usize>(), world.count("delivery").await), (30, 30), "{made:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rises_or_comes_back_from_a_snooze_is_told_again_and_info_never() {
    let world = World::new().await;
    let replica = world.start().await;
    let endpoint = Endpoint::start().await;
    let routes = json!({
        "receiver": "ops", "group_by": ["device_id"], "group_wait": "100ms", "group_interval": "100ms",
        "routes": [{ "matchers": ["severity=\"INFO\""], "receiver": "none" }]
    });
    endpoint.configure(&replica, routes).await;
    let alert = firing("sensor-01");
    let info = TemperatureAlert { severity: Severity::Info, ..firing("sensor-02") };
    world.alerts(&[alert.clone(), info], 2).await;
    endpoint.deliveries(1).await;
    let worse = TemperatureAlert { severity: Severity::Critical, ..then(&alert, AlertState::Firing) };
    world.alerts(&[worse], 3).await;
    let raised = endpoint.deliveries(2).await.remove(1).json();
    assert_eq!((&raised["reason"], &raised["notifications"][0]["severity"]), (&json!("new"), &json!("CRITICAL")));

    let id = raised["notifications"][0]["notification_id"].as_str().unwrap().to_owned();
    let until = now().saturating_add(Duration::from_millis(200)).to_string();
    assert_eq!(replica.act(&id, "snooze", &json!({ "until": until }), None).await.status(), StatusCode::OK);
    let back = endpoint.deliveries(3).await.remove(2).json();
    assert_eq!(back["notifications"][0]["change"]["action"], "snooze_ended");
    assert!(endpoint.received().iter().all(|told| told.devices() == ["sensor-01"]));
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_its_share_of_the_minute_a_receiver_gets_one_summary() {
    let world = World::new().await;
    let replica = world.start_with(&[("NOTIFIER__DELIVERY__PER_MINUTE", "2")]).await;
    let endpoint = Endpoint::start().await;
    endpoint.configure(&replica, json!({ "receiver": "ops", "group_by": ["device_id"], "group_wait": "50ms" })).await;
    let alerts: Vec<TemperatureAlert> = (0..6).map(|index| firing(&format!("sensor-{index}"))).collect();
    world.alerts(&alerts, 6).await;
    eventually("four are held back", || async { (world.count("held_notification").await == 4).then_some(()) }).await;
    assert_eq!(endpoint.deliveries(2).await.len(), 2);
    sqlx::query("UPDATE receiver_pace SET began_at = began_at - interval '1 minute'").execute(&world.pool).await.unwrap();
    let summary = endpoint.deliveries(3).await.remove(2);
    assert_eq!((&summary.json()["type"], summary.devices().len()), (&json!("summary"), 4));
    assert_eq!(world.count("held_notification").await, 0);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silence_and_an_offline_device_keep_notifications_quiet_and_say_so() {
    let world = World::new().await;
    let replica = world.start().await;
    let endpoint = Endpoint::start().await;
    endpoint.configure(&replica, quickly()).await;
    let hour = |hours: u64| now().saturating_add(Duration::from_hours(hours)).to_string();
    let started = now().saturating_sub(Duration::from_mins(1)).to_string();
    let silence = json!({ "matchers": ["device_id=\"sensor-01\""], "starts_at": started, "ends_at": hour(1), "comment": "works" });
    replica.put("/v1/silences/works", &silence).await;
    let offline = DeviceStatus {
        tenant: "default".into(),
        device_id: "sensor-02".into(),
        state: DeviceState::Offline,
        reason: "will".into(),
        changed_at: now(),
    };
    world.kit.publish(&[offline]).await;
    eventually("it is offline", || async { (world.count("notification").await == 1).then_some(()) }).await;
    world.alerts(&[firing("sensor-01"), firing("sensor-02"), firing("sensor-03")], 4).await;
    eventually("two say what keeps them quiet", || async {
        (world.count("notification WHERE suppressed_by IS NOT NULL").await == 2).then_some(())
    })
    .await;
    let by: Vec<String> =
        sqlx::query_scalar("SELECT suppressed_by FROM notification WHERE kind = 'alert' AND suppressed_by IS NOT NULL ORDER BY device_id")
            .fetch_all(&world.pool)
            .await
            .unwrap();
    assert_eq!(by[0], "silence/works");
    assert!(by[1].starts_with("notification/"), "{}", by[1]);
    let told = endpoint.deliveries(2).await;
    let alerts: Vec<Vec<String>> = told
        .iter()
        .filter(|told| told.json()["group_key"].as_str().unwrap().contains("\"alert\""))
        .map(super::endpoint::Received::devices)
        .collect();
    assert_eq!(alerts, [["sensor-03"]]);

    // The silence ends: what it kept quiet is told.
    let gone = replica.request(reqwest::Method::DELETE, "/v1/silences/works").bearer_auth(crate::world::KEY).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    let told = endpoint.deliveries(3).await;
    assert_eq!(told[2].devices(), ["sensor-01", "sensor-03"]);
    eventually("it no longer says so", || async { (world.count("notification WHERE suppressed_by IS NOT NULL").await == 1).then_some(()) })
        .await;
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mute_time_is_quiet_in_its_time_zone() {
    let world = World::new().await;
    let replica = world.start().await;
    let endpoint = Endpoint::start().await;
    let always = json!({ "time_zone": "Asia/Kathmandu", "intervals": [{ "weekdays": ["monday:sunday"] }] });
    replica.put("/v1/mute-times/always", &always).await;
    let routes =
        |muted: &[&str]| json!({ "receiver": "ops", "group_wait": "50ms", "group_interval": "100ms", "routes": [{ "mute_times": muted }] });
    endpoint.configure(&replica, routes(&["always"])).await;
    world.alerts(&[firing("sensor-01")], 1).await;
    eventually("its turn came", || async { (world.count("delivery_group WHERE next_flush_at > now()").await == 1).then_some(()) }).await;
    assert_eq!(world.count("delivery").await, 0);
    replica.put("/v1/routes", &routes(&[])).await;
    endpoint.deliveries(1).await;
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_acknowledges_is_escalated_step_by_step() {
    let world = World::new().await;
    let replica = world.start().await;
    let (ops, manager) = (Endpoint::start().await, Endpoint::start().await);
    replica.put("/v1/webhooks/manager", &json!({ "url": manager.url })).await;
    replica.put("/v1/receivers/manager", &json!({ "webhooks": ["manager"] })).await;
    replica
        .put(
            "/v1/escalations/up",
            &json!({ "steps": [{ "after": "300ms", "receiver": "manager" }, { "after": "1h", "receiver": "manager" }] }),
        )
        .await;
    ops.configure(&replica, json!({ "receiver": "ops", "group_wait": "50ms", "escalation": "up" })).await;
    world.alerts(&[firing("sensor-01"), firing("sensor-02")], 2).await;
    let told = manager.deliveries(2).await;
    let body = told[0].json();
    assert_eq!((&body["type"], &body["reason"]), (&json!("escalation"), &json!("step 1 of up")));
    // Someone is on it: the next step does not come.
    for told in &told {
        let id = told.json()["notifications"][0]["notification_id"].as_str().unwrap().to_owned();
        assert_eq!(replica.act(&id, "acknowledge", &json!({}), None).await.status(), StatusCode::OK);
    }
    sqlx::query("UPDATE escalation_timer SET due_at = now()").execute(&world.pool).await.unwrap();
    eventually("the escalation is over", || async { (world.count("escalation_timer").await == 0).then_some(()) }).await;
    assert_eq!(manager.received().len(), 2);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_with_a_heartbeat_hears_that_all_is_well() {
    let world = World::new().await;
    let overrides = [("NOTIFIER__DELIVERY__HEARTBEAT", "300ms")];
    let (replica, other) = (world.start_with(&overrides).await, world.start_with(&overrides).await);
    let endpoint = Endpoint::start().await;
    endpoint.configure(&replica, quickly()).await;
    replica.put("/v1/receivers/ops", &json!({ "webhooks": ["hook"], "heartbeat": true })).await;
    let beats = endpoint.deliveries(3).await;
    assert!(beats.iter().all(|beat| beat.json()["type"] == "heartbeat"));
    // As they were made: on their way one may catch up with the one before.
    let gaps = "SELECT created_at - lag(created_at) OVER (ORDER BY created_at) >= interval '300 ms' FROM delivery";
    let apart: Vec<Option<bool>> = sqlx::query_scalar(gaps).fetch_all(&world.pool).await.unwrap();
    assert!(apart.len() >= 3 && !apart.contains(&Some(false)), "two replicas beat twice: {apart:?}");
    replica.put("/v1/receivers/ops", &json!({ "webhooks": ["hook"] })).await;
    assert_eq!(world.count("heartbeat").await, 0);
    replica.stop().await;
    other.stop().await;
}
