use std::time::{Duration, SystemTime};

use events::{DeviceState, DeviceStatus, HealthState, MetricHealth, Reading, SensorHealth, Timestamp};
use notifier::domain::access::Scope;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stream::OutRecord;
use testkit::{eventually, temperature};

use crate::access::add_key;
use crate::world::{Replica, World, firing, problem};

/// So many seconds before now.
fn ago(seconds: u64) -> Timestamp {
    Timestamp::from(SystemTime::now()).saturating_sub(Duration::from_secs(seconds))
}

fn status(device_id: &str, state: DeviceState, changed_at: Timestamp) -> DeviceStatus {
    let reason = if state == DeviceState::Offline { "will" } else { "birth" };
    DeviceStatus { tenant: "default".into(), device_id: device_id.into(), state, reason: reason.into(), changed_at }
}

fn health(device_id: &str, state: HealthState, weight: f64) -> SensorHealth {
    let metric = MetricHealth { metric: "temperature".into(), state, weight, residual: Some(1.5), since: ago(60) };
    let (group_id, changed_at) = (Some("hall-2".into()), ago(60));
    SensorHealth { tenant: "default".into(), device_id: device_id.into(), group_id, changed_at, metrics: vec![metric] }
}

fn ids(page: &Value) -> Vec<String> {
    page["data"].as_array().unwrap().iter().map(|one| one["device_id"].as_str().unwrap().to_owned()).collect()
}

/// Waits until a list has exactly these devices.
async fn listed(replica: &Replica, query: &str, expected: &[&str]) -> Value {
    eventually(&format!("{query} lists {expected:?}"), || async {
        let page = replica.get(&format!("/v1/devices?{query}")).await;
        (ids(&page) == expected).then_some(page)
    })
    .await
}

/// Waits until a device's temperatures are these.
async fn temperatures(replica: &Replica, device_id: &str, expected: &[f64]) -> Value {
    eventually(&format!("{device_id} has {expected:?}"), || async {
        let response = replica.ask(Method::GET, &format!("/v1/devices/{device_id}")).await;
        let device: Value = response.json().await.unwrap();
        (device["metrics"][0]["sparkline"] == json!(expected)).then_some(device)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_are_listed_by_filters_and_in_pages() {
    let world = World::new().await;
    let replica = world.start().await;
    let group = |number: usize| Some(if number < 3 { "hall-1".to_owned() } else { "hall_2".to_owned() });
    let readings: Vec<Reading> =
        (0..7).map(|number| Reading { group_id: group(number), ..temperature(&format!("sensor-{number}"), ago(5), 20.0) }).collect();
    world.kit.publish(&readings).await;
    world.kit.publish(&[status("sensor-1", DeviceState::Offline, ago(9)), status("sensor-2", DeviceState::Online, ago(9))]).await;
    world.kit.publish(&[health("sensor-1", HealthState::Stuck, 0.1), health("other", HealthState::Healthy, 1.0)]).await;
    world.alerts(&[firing("sensor-1"), firing("sensor-3")], 3).await;
    let all = ["other", "sensor-0", "sensor-1", "sensor-2", "sensor-3", "sensor-4", "sensor-5", "sensor-6"];
    listed(&replica, "", &all).await;
    listed(&replica, "health=STUCK", &["sensor-1"]).await;
    listed(&replica, "status=OFFLINE&status=ONLINE", &["sensor-1", "sensor-2"]).await;
    for (query, expected) in [
        ("status=UNKNOWN&group_id=hall-1", &["sensor-0"][..]),
        ("health=HEALTHY", &["other"]),
        ("group_id=hall-2&group_id=hall-1", &["other", "sensor-0", "sensor-1", "sensor-2"]),
        ("q=HALL_", &["sensor-3", "sensor-4", "sensor-5", "sensor-6"]),
        ("q=oR-6", &["sensor-6"]),
        ("q=nothing", &[]),
    ] {
        listed(&replica, query, expected).await;
    }

    let stuck = &replica.get("/v1/devices?health=STUCK").await["data"][0];
    assert_eq!((&stuck["status"]["state"], &stuck["status"]["reason"]), (&json!("OFFLINE"), &json!("will")));
    assert_eq!((&stuck["health"]["weight"], &stuck["health"]["metrics"][0]["residual"]), (&json!(0.1), &json!(1.5)));
    // The alert, and that it is offline.
    assert_eq!((&stuck["unresolved_notifications"], &stuck["group_id"]), (&json!(2), &json!("hall-1")));
    assert!(stuck["metrics"][0].get("sparkline_at").is_none());

    let mut seen = Vec::new();
    let mut path = "/v1/devices?q=sensor&limit=3".to_owned();
    loop {
        let page = replica.get(&path).await;
        seen.extend(ids(&page));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/devices?q=sensor&limit=3&cursor={cursor}");
        let other_filter = replica.ask(Method::GET, &format!("/v1/devices?q=other&cursor={cursor}")).await;
        problem(other_filter, StatusCode::BAD_REQUEST).await;
    }
    assert_eq!(seen, all[1..]);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_readings_come_from_kafka_and_what_cannot_be_read_is_passed_over() {
    let world = World::new().await;
    let replica = world.start().await;
    let at = ago(100);
    let measured = |second: u64, value| temperature("sensor/01", at.saturating_add(Duration::from_secs(second)), value);
    world.kit.publish(&[measured(1, 1.0), measured(3, 3.0)]).await;
    temperatures(&replica, "sensor%2F01", &[1.0, 3.0]).await;

    let topic = world.kit.kafka.prefixed("telemetry.readings.v1");
    let broken = |value: Option<&[u8]>| OutRecord::new(topic.clone(), Some(b"sensor/01".to_vec()), value.map(<[u8]>::to_vec));
    world.kit.publish_records(vec![broken(Some(b"nonsense")), broken(None), broken(Some(&[0, 0xFF, 0, 0, 0, 1]))]).await;
    world.kit.publish(&[measured(3, 3.0), measured(2, 2.0), Reading { unit: "K".into(), ..measured(4, 4.0) }]).await;
    let device = temperatures(&replica, "sensor%2F01", &[1.0, 2.0, 3.0, 4.0]).await;
    let newest = at.saturating_add(Duration::from_secs(4)).to_string();
    let metric = &device["metrics"][0];
    assert_eq!((&metric["value"], &metric["unit"], &metric["measured_at"]), (&json!(4.0), &json!("K"), &json!(newest)));
    assert_eq!(metric["sparkline_at"].as_array().unwrap().len(), 4);
    assert_eq!((&device["status"], &device["health"], &device["received_at"]), (&Value::Null, &Value::Null, &json!(newest)));
    assert_eq!(world.dead_letters().await, Vec::<String>::new());
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenant_sees_nothing_of_a_device() {
    let world = World::new().await;
    let replica = world.start().await;
    add_key(&world, "fw_stranger_00000000000", "acme", &[Scope::Read], None).await;
    add_key(&world, "fw_writer_0000000000000", "default", &[Scope::Write], None).await;
    let theirs = Reading { tenant: "acme".into(), ..temperature("sensor-02", ago(1), 2.0) };
    world.kit.publish(&[temperature("sensor-01", ago(1), 1.0), theirs]).await;
    world.alerts(&[firing("sensor-01")], 1).await;
    listed(&replica, "", &["sensor-01"]).await;
    let ask = |key, path: &str| replica.request(Method::GET, path).bearer_auth(key).send();
    eventually("acme has its device alone", || async {
        let page: Value = ask("fw_stranger_00000000000", "/v1/devices").await.unwrap().json().await.unwrap();
        (ids(&page) == ["sensor-02"]).then_some(())
    })
    .await;
    for path in ["/v1/devices/sensor-01", "/v1/devices/sensor-01/timeline"] {
        assert_eq!(replica.ask(Method::GET, path).await.status(), StatusCode::OK, "{path}");
        problem(ask("fw_stranger_00000000000", path).await.unwrap(), StatusCode::NOT_FOUND).await;
        problem(ask("fw_writer_0000000000000", path).await.unwrap(), StatusCode::FORBIDDEN).await;
    }
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_device_and_a_wrong_parameter_are_problems() {
    let world = World::new().await;
    let replica = world.start().await;
    for path in ["/v1/devices/nobody", "/v1/devices/nobody/timeline", "/v1/devices/a%00b", "/v1/devices/a%00b/timeline"] {
        problem(replica.ask(Method::GET, path).await, StatusCode::NOT_FOUND).await;
    }
    for query in ["status=online", "status=LOUD", "health=GOOD", "limit=0", "limit=201", "cursor=abc", "nonsense=1", "q=a&q=b", "q=a%00"] {
        let found = problem(replica.ask(Method::GET, &format!("/v1/devices?{query}")).await, StatusCode::BAD_REQUEST).await;
        assert_eq!(found["errors"][0]["parameter"], query.split('=').next().unwrap(), "{query}: {found}");
    }
    for path in ["/v1/devices/nobody?x=1", "/v1/devices/nobody/timeline?limit=0", "/v1/devices/nobody/timeline?cursor=abc"] {
        problem(replica.ask(Method::GET, path).await, StatusCode::BAD_REQUEST).await;
    }
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeline_has_what_happened_latest_first() {
    let world = World::new().await;
    let replica = world.start().await;
    let changes = [(DeviceState::Online, 300), (DeviceState::Offline, 200), (DeviceState::Online, 100)];
    let changes = changes.map(|(state, seconds)| status("sensor-01", state, ago(seconds)));
    world.kit.publish(&changes).await;
    // Again, as a redrive would: changes nothing.
    world.kit.publish(&changes[..1]).await;
    world.kit.publish(&[status("sensor-02", DeviceState::Online, ago(50))]).await;
    world.alerts(&[firing("sensor-01"), firing("sensor-02")], 4).await;
    eventually("all changes are there", || async { (world.count("device_status_change").await == 4).then_some(()) }).await;

    let mut entries = Vec::new();
    let mut path = "/v1/devices/sensor-01/timeline?limit=2".to_owned();
    loop {
        let page = replica.get(&path).await;
        entries.extend(page["data"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        problem(replica.ask(Method::GET, &format!("/v1/devices/sensor-02/timeline?cursor={cursor}")).await, StatusCode::BAD_REQUEST).await;
        path = format!("/v1/devices/sensor-01/timeline?limit=2&cursor={cursor}");
    }
    assert!(entries.iter().map(|entry| entry["at"].as_str().unwrap()).is_sorted_by(|a, b| a >= b), "{entries:?}");
    let of = |kind: &str| entries.iter().filter(|entry| entry["type"] == kind).cloned().collect::<Vec<_>>();
    let states: Vec<_> = of("status").iter().map(|entry| entry["state"].as_str().unwrap().to_owned()).collect();
    assert_eq!(states, ["ONLINE", "OFFLINE", "ONLINE"]);
    assert_eq!((&of("status")[1]["reason"], &of("status")[1]["at"]), (&json!("will"), &json!(changes[1].changed_at.to_string())));
    let mut told: Vec<_> = of("notification").iter().map(|entry| format!("{} {}", entry["kind"], entry["change"]["action"])).collect();
    told.sort();
    assert_eq!(told, ["\"alert\" \"opened\"", "\"device-offline\" \"opened\"", "\"device-offline\" \"resolved\""]);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_finds_the_last_readings_again_a_bounded_way_back() {
    let world = World::new().await;
    let bounded = [("NOTIFIER__DEVICES__READINGS_BACK", "3"), ("NOTIFIER__DEVICES__VALUES", "4")];
    let replica = world.start_with(&bounded).await;
    let reading = |number: u16| temperature("sensor-01", ago(100 - u64::from(number)), f64::from(number));
    world.kit.publish(&(1..=5).map(reading).collect::<Vec<_>>()).await;
    world.kit.publish(&[status("sensor-01", DeviceState::Online, ago(90))]).await;
    temperatures(&replica, "sensor-01", &[2.0, 3.0, 4.0, 5.0]).await;
    listed(&replica, "status=ONLINE", &["sensor-01"]).await;
    replica.stop().await;

    world.kit.publish(&[reading(6)]).await;
    let replica = world.start_with(&bounded).await;
    // Ready means that all there was has been read: no waiting here.
    let device = replica.get("/v1/devices/sensor-01").await;
    assert_eq!(device["metrics"][0]["sparkline"], json!([4.0, 5.0, 6.0]));
    assert_eq!(device["status"]["state"], "ONLINE");
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_whose_status_is_no_longer_kept_is_gone() {
    let world = World::new().await;
    let replica = world.start().await;
    world.kit.publish(&[status("sensor-01", DeviceState::Retired, ago(9)), status("sensor-02", DeviceState::Online, ago(9))]).await;
    listed(&replica, "", &["sensor-01", "sensor-02"]).await;
    let topic = world.kit.kafka.prefixed("telemetry.device-status.v1");
    world.kit.publish_records(vec![OutRecord::new(topic, Some(b"sensor-01".to_vec()), None)]).await;
    listed(&replica, "", &["sensor-02"]).await;
    problem(replica.ask(Method::GET, "/v1/devices/sensor-01").await, StatusCode::NOT_FOUND).await;
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_are_new_are_read_from_their_beginning() {
    let world = World::new().await;
    let replica = world.start_with(&[("NOTIFIER__DEVICES__LOOK_AGAIN", "200ms")]).await;
    listed(&replica, "", &[]).await;
    // The only way to more partitions that the catalogue's tools have.
    world.kit.renew(&["telemetry.readings.v1"]).await;
    let devices: Vec<String> = (10..40).map(|number| format!("sensor-{number}")).collect();
    world.kit.publish(&devices.iter().map(|device| temperature(device, ago(5), 2.0)).collect::<Vec<_>>()).await;
    listed(&replica, "", &devices.iter().map(String::as_str).collect::<Vec<_>>()).await;
    replica.stop().await;
}
