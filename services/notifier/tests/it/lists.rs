use std::collections::BTreeSet;

use events::{AlertState, Severity, TemperatureAlert};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::eventually;

use crate::world::{KEY, World, firing, problem, then};

fn ids(page: &Value) -> Vec<String> {
    page["data"].as_array().unwrap().iter().map(|one| one["notification_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_give_every_notification_once_latest_first() {
    let world = World::new().await;
    let replica = world.start().await;
    // Some at the same instant: the id decides.
    let at = firing("x").changed_at.saturating_sub(std::time::Duration::from_hours(1));
    let alert = |number: i64| {
        let at = events::Timestamp::from_micros(at.as_micros() + number / 3 * 1_000_000);
        TemperatureAlert { started_at: at, changed_at: at, ..firing(&format!("sensor-{number}")) }
    };
    world.alerts(&(0..25).map(alert).collect::<Vec<_>>(), 25).await;
    let all = replica.get("/v1/notifications?limit=200").await;
    assert_eq!((ids(&all).len(), &all["next_cursor"]), (25, &Value::Null));
    let order: Vec<(String, String)> = all["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["opened_at"].as_str().unwrap().to_owned(), one["notification_id"].as_str().unwrap().to_owned()))
        .collect();
    assert!(order.is_sorted_by(|a, b| a > b));

    let mut seen = Vec::new();
    let mut path = "/v1/notifications?limit=7".to_owned();
    loop {
        let page = replica.get(&path).await;
        seen.extend(ids(&page));
        // What is new while someone turns pages does not move them.
        world.kit.publish(&[firing(&format!("late-{}", seen.len()))]).await;
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/notifications?limit=7&cursor={cursor}");
    }
    assert_eq!(seen, ids(&all));
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_good_only_as_it_was_given() {
    let world = World::new().await;
    let replica = world.start().await;
    world.alerts(&[firing("sensor-01"), firing("sensor-02")], 2).await;
    let cursor = replica.get("/v1/notifications?limit=1").await["next_cursor"].as_str().unwrap().to_owned();
    assert_eq!(ids(&replica.get(&format!("/v1/notifications?limit=1&cursor={cursor}")).await).len(), 1);
    let mut tampered = cursor.clone().into_bytes();
    tampered[3] = if tampered[3] == b'A' { b'B' } else { b'A' };
    let tampered = String::from_utf8(tampered).unwrap();
    for query in
        [format!("cursor={tampered}"), format!("cursor={cursor}&kind=alert"), "cursor=".to_owned(), format!("cursor={}", &cursor[4..])]
    {
        let refused = problem(replica.ask(Method::GET, &format!("/v1/notifications?{query}")).await, StatusCode::BAD_REQUEST).await;
        assert_eq!(refused["errors"][0]["parameter"], "cursor", "{query}");
    }
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_good_on_every_replica() {
    let world = World::new().await;
    let (one, other) = (world.start().await, world.start().await);
    world.alerts(&[firing("sensor-01"), firing("sensor-02")], 2).await;
    let cursor = one.get("/v1/notifications?limit=1").await["next_cursor"].as_str().unwrap().to_owned();
    assert_eq!(ids(&other.get(&format!("/v1/notifications?limit=1&cursor={cursor}")).await).len(), 1);
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_and_counts_agree() {
    let world = World::new().await;
    let replica = world.start().await;
    let critical = TemperatureAlert { severity: Severity::Critical, group_id: None, ..firing("sensor_02") };
    let over = firing("sensor-03");
    world.alerts(&[firing("sensor-01"), critical, over.clone(), then(&over, AlertState::Resolved)], 4).await;
    for (query, expected) in [
        ("", 3),
        ("state=OPEN", 2),
        ("state=OPEN&state=RESOLVED", 3),
        ("severity=CRITICAL", 1),
        ("device_id=sensor-01&device_id=sensor-03", 2),
        ("group_id=cold-room-2&state=OPEN", 1),
        ("kind=anomaly", 0),
        ("label=team%3Dcold-chain", 3),
        ("label=team%3Dother", 0),
        ("q=SENSOR-01", 1),
        ("q=sensor_", 1),
        ("q=100%25", 0),
        ("since=2020-01-01T00:00:00Z", 3),
        ("until=2020-01-01T00:00:00%2B02:00", 0),
    ] {
        assert_eq!(ids(&replica.get(&format!("/v1/notifications?{query}")).await).len(), expected, "{query}");
    }

    let first = replica.ask(Method::GET, "/v1/notifications/counts").await;
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    let counts: Value = first.json().await.unwrap();
    assert_eq!(counts["by_state"], json!({ "OPEN": 2, "ACKNOWLEDGED": 0, "SNOOZED": 0, "RESOLVED": 1 }));
    assert_eq!(counts["by_severity"], json!({ "INFO": 0, "WARNING": 1, "CRITICAL": 1, "UNKNOWN": 0 }));
    assert_eq!((&counts["total"], &counts["unresolved"]), (&json!(3), &json!(2)));
    let known = || replica.request(Method::GET, "/v1/notifications/counts").bearer_auth(KEY).header("if-none-match", &tag).send();
    assert_eq!(known().await.unwrap().status(), StatusCode::NOT_MODIFIED);
    world.alerts(&[firing("sensor-04")], 5).await;
    let changed = known().await.unwrap();
    assert_eq!(changed.status(), StatusCode::OK);
    assert_ne!(changed.headers()["etag"], tag.as_str());
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_audit_log_is_given_in_pages() {
    let world = World::new().await;
    let replica = world.start().await;
    let alerts: Vec<_> = std::iter::successors(Some(firing("sensor-01")), |last| Some(then(last, AlertState::Firing))).take(7).collect();
    world.alerts(&alerts, 7).await;
    let id = ids(&replica.get("/v1/notifications").await).remove(0);
    let mut seen = Vec::new();
    let mut path = format!("/v1/notifications/{id}/events?limit=3");
    loop {
        let page = replica.get(&path).await;
        seen.extend(page["data"].as_array().unwrap().iter().map(|event| event["version"].as_i64().unwrap()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/notifications/{id}/events?limit=3&cursor={cursor}");
    }
    assert_eq!(seen, (1..=7).collect::<Vec<_>>());
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 7);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_are_what_is_there_however_many_changes_they_are_the_sum_of() {
    let world = World::new().await;
    let replica = world.start().await;
    let alerts: Vec<_> = (0..3).map(|number| firing(&format!("sensor-{number}"))).collect();
    world.alerts(&alerts, 3).await;
    let id = ids(&replica.get("/v1/notifications").await)[0].clone();
    for _ in 0..120 {
        for action in ["acknowledge", "unacknowledge"] {
            assert_eq!(replica.act(&id, action, &json!({}), None).await.status(), StatusCode::OK);
        }
    }
    world.alerts(&[then(&alerts[0], AlertState::Resolved)], 244).await;
    // Less than a line for each of 242 changes: some were added up.
    let lines = eventually("changes are added up", || async { Some(world.counted().await).filter(|lines| *lines < 242) }).await;
    assert!(lines >= 2, "{lines}");
    let counts = replica.get("/v1/notifications/counts").await;
    assert_eq!(counts["by_state"], json!({ "OPEN": 2, "ACKNOWLEDGED": 0, "SNOOZED": 0, "RESOLVED": 1 }));
    replica.stop().await;
}
