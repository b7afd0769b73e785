use std::collections::BTreeMap;
use std::time::Duration;

use events::{AlertState, Notification};
use reqwest::Method;
use serde_json::json;
use stream::EventWriter;

use crate::world::{Events, KEY, World, firing, notification, then};

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_begins_with_a_snapshot_and_goes_on_live() {
    let world = World::new().await;
    let replica = world.start().await;
    let alert = firing("sensor-01");
    world.alerts(std::slice::from_ref(&alert), 1).await;
    let mut events = replica.stream(None).await;
    let snapshot = events.next().await.unwrap();
    assert_eq!(snapshot.name, "snapshot");
    assert_eq!((&snapshot.data["truncated"], &snapshot.data["counts"]["unresolved"]), (&json!(false), &json!(1)));
    let id = snapshot.data["notifications"][0]["notification_id"].as_str().unwrap().to_owned();

    // Version 1 is in the snapshot, and is not told again when the relay brings it.
    world.alerts(&[then(&alert, AlertState::Firing)], 2).await;
    assert_eq!(world.relay().await, 2);
    let told = events.next().await.unwrap();
    assert_eq!(told.version(), (id.clone(), 2));
    assert_eq!(told.data, replica.get(&format!("/v1/notifications/{id}")).await);

    replica.act(&id, "resolve", &json!({}), None).await;
    world.relay().await;
    let (mut told, mut counts) = (None, json!(null));
    while told.is_none() || counts["unresolved"] != 0 {
        match events.next_of_any().await.unwrap() {
            event if event.name == "counts" => counts = event.data,
            event => told = Some(event.version()),
        }
    }
    assert_eq!(told, Some((id, 3)));
    assert_eq!(counts["by_state"]["RESOLVED"], 1);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_resumes_on_another_replica_with_no_gap_and_no_repeat() {
    let world = World::new().await;
    let (one, other) = (world.start().await, world.start().await);
    let versions: Vec<Notification> =
        (1..=10).flat_map(|version| (0..9).map(move |n| notification(&format!("sensor-{n}"), version))).collect();
    let mut events = one.stream(None).await;
    assert_eq!(events.next().await.unwrap().name, "snapshot");
    world.kit.publish(&versions[..30]).await;
    let mut seen = events.versions(20).await;
    let last = events.next().await.unwrap();
    seen.push(last.version());
    drop(events);

    world.kit.publish(&versions[30..60]).await;
    // From memory on the other replica, which was there all the time; by parameter as well as by header.
    let mut resumed = other.stream(Some(&last.id)).await;
    seen.extend(resumed.versions(39).await);
    world.kit.publish(&versions[60..]).await;
    seen.extend(resumed.versions(30).await);
    assert_in_order_and_complete(&seen, 9, 10);

    let by_parameter = other.request(Method::GET, &format!("/v1/notifications/stream?last_event_id={}", last.id)).bearer_auth(KEY);
    let again = Events::of(by_parameter.send().await.unwrap()).versions(69).await;
    assert_eq!(BTreeMap::from_iter(again), BTreeMap::from_iter(seen.split_off(21)));
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_resumes_after_a_restart_from_the_log() {
    let world = World::new().await;
    let replica = world.start().await;
    let mut events = replica.stream(None).await;
    let begun = events.next().await.unwrap();
    let versions: Vec<Notification> =
        (1..=4).flat_map(|version| (0..6).map(move |n| notification(&format!("sensor-{n}"), version))).collect();
    world.kit.publish(&versions).await;
    let mut first = events.versions(5).await;
    let last = events.next().await.unwrap();
    first.push(last.version());
    replica.stop().await;

    // A new process remembers nothing, and some come while it catches up.
    let replica = world.start().await;
    let mut resumed = replica.stream(Some(&last.id)).await;
    world.kit.publish(&(0..6).map(|n| notification(&format!("sensor-{n}"), 5)).collect::<Vec<_>>()).await;
    first.extend(resumed.versions(24).await);
    assert_in_order_and_complete(&first, 6, 5);

    let mut all = replica.stream(Some(&begun.id)).await;
    assert_in_order_and_complete(&all.versions(30).await, 6, 5);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_relay_repeats_is_told_once() {
    let world = World::new().await;
    let replica = world.start().await;
    let mut events = replica.stream(None).await;
    let begun = events.next().await.unwrap();
    let version = |version| notification("sensor-01", version);
    world.kit.publish(&[version(1), version(2), version(1), version(2), version(3)]).await;
    let told: Vec<i64> = events.versions(3).await.into_iter().map(|(_, version)| version).collect();
    assert_eq!(told, [1, 2, 3]);
    replica.stop().await;

    // The same when it is read from the log again.
    let replica = world.start().await;
    let mut events = replica.stream(Some(&begun.id)).await;
    let told: Vec<i64> = events.versions(3).await.into_iter().map(|(_, version)| version).collect();
    assert_eq!(told, [1, 2, 3]);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_that_is_not_in_the_log_gives_a_gap_and_a_snapshot() {
    let world = World::new().await;
    let replica = world.start().await;
    let mut events = replica.stream(None).await;
    let begun = events.next().await.unwrap();
    world.kit.publish(&(0..9).map(|n| notification(&format!("sensor-{n}"), 1)).collect::<Vec<_>>()).await;
    events.versions(9).await;

    let topic = world.kit.kafka.prefixed("notifications.v1");
    let ends: Vec<_> = world.ends().into_iter().map(|(partition, end)| (topic.clone(), partition, end)).collect();
    stream::admin::Admin::connect(&world.kit.kafka).unwrap().delete_before(&ends).await.unwrap();
    let replica_after = world.start().await;
    let mut expired = replica_after.stream(Some(&begun.id)).await;
    let gap = expired.next().await.unwrap();
    assert_eq!((gap.name.as_str(), &gap.data["reason"], &gap.data["from"]), ("gap", &json!("expired"), &json!(begun.id)));
    assert_eq!(expired.next().await.unwrap().name, "snapshot");

    // Of another log: more partitions, or further than this one reaches.
    for unknown in ["AQEF", "AQP__wMFBQ"] {
        let mut events = replica_after.stream(Some(unknown)).await;
        assert_eq!(events.next().await.unwrap().data["reason"], "unknown_position", "{unknown}");
        assert_eq!(events.next().await.unwrap().name, "snapshot");
    }
    replica.stop().await;
    replica_after.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_is_told_of_its_gap_and_dropped() {
    let world = World::new().await;
    let replica = world.start_with(&[("NOTIFIER__SSE__CLIENT_BACKLOG", "16")]).await;
    let mut slow = replica.stream(None).await;
    assert_eq!(slow.next().await.unwrap().name, "snapshot");
    // More than the sockets between can hold while nobody reads.
    let large = |version| Notification { body: "x".repeat(100_000), ..notification("sensor-01", version) };
    world.kit.publish(&(1..=300).map(large).collect::<Vec<_>>()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut seen = Vec::new();
    let gap = loop {
        let event = slow.next().await.expect("a gap before the end");
        if event.name == "gap" {
            break event.data;
        }
        seen.push(event.version().1);
    };
    assert_eq!(gap["reason"], "slow_client");
    assert_eq!(slow.next().await, None);
    // It comes back with what it has, and misses nothing.
    let missing = 300 - seen.len();
    assert!(missing > 16, "the client was not slow: {missing}");
    let mut again = replica.stream(gap["from"].as_str()).await;
    seen.extend(again.versions(missing).await.into_iter().map(|(_, version)| version));
    assert_eq!(seen, (1..=300).collect::<Vec<_>>());
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_nothing_does_not_hold_up_the_stop() {
    let world = World::new().await;
    let replica = world.start().await;
    let mut stalled = replica.stream(None).await;
    assert_eq!(stalled.next().await.unwrap().name, "snapshot");
    let large = |version| Notification { body: "x".repeat(100_000), ..notification("sensor-01", version) };
    world.kit.publish(&(1..=150).map(large).collect::<Vec<_>>()).await;
    tokio::time::timeout(Duration::from_secs(15), replica.stop()).await.expect("the stop is not held up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_stream_is_kept_open_by_comments() {
    let world = World::new().await;
    let replica = world.start_with(&[("NOTIFIER__SSE__KEEP_ALIVE", "100ms")]).await;
    let mut events = replica.stream(None).await;
    events.next().await.unwrap();
    let publish = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        world.kit.publish(&[notification("sensor-01", 1)]).await;
    };
    let ((), event) = tokio::join!(publish, events.next());
    assert_eq!(event.unwrap().name, "notification");
    assert!(events.comments >= 3, "{} comments", events.comments);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_no_stream_can_show_is_passed_over() {
    let world = World::new().await;
    let replica = world.start().await;
    let mut events = replica.stream(None).await;
    let begun = events.next().await.unwrap();
    let topic = world.kit.kafka.prefixed("notifications.v1");
    let writer = EventWriter::new("test", &world.kit.kafka).with::<Notification>(&world.kit.registry).await.unwrap();
    let good = |version| writer.record(&notification("sensor-01", version), &stream::Cause::default(), None).unwrap();
    let broken = stream::OutRecord::new(topic, Some(notification("sensor-01", 1).notification_id.into_bytes()), Some(b"?".to_vec()));
    world.kit.publish_records(vec![good(1), broken, good(2)]).await;
    assert_eq!(events.versions(2).await.len(), 2);
    assert_eq!(replica.stream(Some(&begun.id)).await.versions(2).await.len(), 2);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_do_not_see_each_other() {
    let world = World::new().await;
    let replica = world.start().await;
    let mut events = replica.stream(None).await;
    events.next().await.unwrap();
    let foreign = Notification { tenant: "acme".into(), ..notification("sensor-01", 1) };
    world.kit.publish(&[foreign, notification("sensor-02", 1)]).await;
    assert_eq!(events.next().await.unwrap().data["device_id"], "sensor-02");
    replica.stop().await;
}

/// Every version of every notification, once, each notification's in order.
fn assert_in_order_and_complete(seen: &[(String, i64)], notifications: usize, versions: i64) {
    let mut by_notification: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for (id, version) in seen {
        by_notification.entry(id).or_default().push(*version);
    }
    assert_eq!(by_notification.len(), notifications);
    for (id, told) in by_notification {
        assert_eq!(told, (1..=versions).collect::<Vec<_>>(), "{id}");
    }
}
