use std::time::Duration;

use events::{
    AlertState, Anomaly, AnomalyState, DeviceState, DeviceStatus, Notification, NotificationState, TemperatureAlert, Timestamp, headers,
};
use notifier::adapters::db::{Advance, Arrival, NotApplied, Store};
use notifier::adapters::outgoing::Outgoing;
use notifier::domain::lifecycle::Cause;
use notifier::domain::signal::Signal;
use reqwest::{Method, StatusCode};
use serde_json::json;
use sqlx::postgres::PgListener;
use stream::{Cause as Origin, EventWriter, OutRecord};
use testkit::{capture, eventually};
use uuid::Uuid;

use crate::world::{World, firing, then};

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_becomes_a_notification_its_audit_and_an_outbox_row() {
    let world = World::new().await;
    let replica = world.start().await;
    let alert = firing("sensor-01");
    let writer = EventWriter::new("temperature-alert", &world.kit.kafka).with::<TemperatureAlert>(&world.kit.registry).await.unwrap();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().ok();
    let origin = Origin { correlation_id: Some("the-first-reading".into()), ..Origin::default() };
    world.kit.publish_records(vec![writer.record(&alert, &origin, trace).unwrap()]).await;

    let listed = eventually("the notification is listed", || async {
        let page = replica.get("/v1/notifications").await;
        page["data"].as_array().unwrap().first().cloned()
    })
    .await;
    assert_eq!(listed["title"], "sensor-01: temperature 31.5 Cel is above 28 Cel");
    assert_eq!((listed["state"].as_str(), listed["version"].as_i64(), listed["kind"].as_str()), (Some("OPEN"), Some(1), Some("alert")));
    assert_eq!(listed["dedup_key"], "alert/high-temperature/sensor-01/temperature");
    assert_eq!(listed["opened_at"], alert.changed_at.to_string());
    assert_eq!(listed["source_event_id"], events::Event::event_id(&alert).to_string());

    assert_eq!(world.relay().await, 1);
    let mut topic = capture(&world.kit, "notifications.v1");
    let record = topic.records(1).await.remove(0);
    let published: Notification = topic.event(&record).await;
    assert_eq!(record.key.as_deref(), Some(published.notification_id.as_bytes()));
    assert_eq!((published.version, published.state), (1, NotificationState::Open));
    assert_eq!(record.header(headers::CE_TYPE), Some("fieldwatch.notification.v1"));
    assert_eq!(record.header(headers::CE_SOURCE), Some("/fieldwatch/notifier"));
    assert_eq!(record.header(headers::CORRELATION_ID), Some("the-first-reading"));

    let audit = replica.get(&format!("/v1/notifications/{}/events", published.notification_id)).await;
    assert_eq!(audit["data"][0]["change"]["actor"], "temperature-alert");
    assert_eq!(audit["data"].as_array().unwrap().len(), 1);
    assert_eq!(world.dead_letters().await, Vec::<String>::new());
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn relays_hear_of_what_is_committed() {
    let world = World::new().await;
    let mut wakes = PgListener::connect_with(&world.pool).await.unwrap();
    wakes.listen(outbox::CHANNEL).await.unwrap();
    let replica = world.start().await;
    let told = replica.post("/v1/events", &json!({ "action": "trigger", "dedup_key": "door", "title": "The door is open" })).await;
    assert_eq!(told.status(), StatusCode::OK);
    let mut heard = async || tokio::time::timeout(Duration::from_secs(20), wakes.recv()).await.expect("a wake").unwrap();
    heard().await;
    world.alerts(&[firing("sensor-01")], 2).await;
    heard().await;
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_event_has_its_notification() {
    let world = World::new().await;
    let replica = world.start().await;
    let anomaly: Anomaly = serde_json::from_str(include_str!("../../../../schemas/golden/anomaly-1.json")).unwrap();
    let status = |state, second: i64| DeviceStatus {
        tenant: "default".into(),
        device_id: "sensor-07".into(),
        state,
        reason: "will".into(),
        changed_at: Timestamp::from_millis(second * 1_000),
    };
    world.kit.publish(&[anomaly.clone(), Anomaly { state: AnomalyState::Closed, ..anomaly }]).await;
    world.kit.publish(&[status(DeviceState::Online, 1), status(DeviceState::Offline, 2), status(DeviceState::Online, 3)]).await;
    eventually("both are resolved", || async { (world.count("notification WHERE state = 'RESOLVED'").await == 2).then_some(()) }).await;
    for kind in ["anomaly", "device-offline"] {
        let page = replica.get(&format!("/v1/notifications?kind={kind}")).await;
        assert_eq!((page["data"].as_array().unwrap().len(), page["data"][0]["version"].as_i64()), (1, Some(2)), "{kind}");
    }
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_come_again_change_nothing() {
    let world = World::new().await;
    let replica = world.start().await;
    let first = firing("sensor-01");
    let events = [first.clone(), then(&first, AlertState::Firing), first.clone()];
    world.alerts(&events, 2).await;
    // One transaction, one key: the repeat is before this in the log.
    let other = firing("sensor-01");
    world.alerts(&[events[0].clone(), events[1].clone(), then(&other, AlertState::Resolved)], 3).await;
    let page = replica.get("/v1/notifications").await;
    assert_eq!(page["data"].as_array().unwrap().len(), 1);
    assert_eq!((page["data"][0]["version"].as_i64(), page["data"][0]["occurrences"].as_i64()), (Some(3), Some(2)));
    assert_eq!(world.count("outbox").await, 3);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_a_dead_letter_and_the_rest_goes_on() {
    let world = World::new().await;
    let replica = world.start().await;
    let topic = world.kit.kafka.prefixed("alerts.temperature.v1");
    let broken = |value: &[u8]| OutRecord::new(topic.clone(), Some(b"sensor-01".to_vec()), Some(value.to_vec()));
    let writer = EventWriter::new("test", &world.kit.kafka).with::<TemperatureAlert>(&world.kit.registry).await.unwrap();
    let with_nul = TemperatureAlert { summary: "a\0b".into(), ..firing("sensor-02") };
    world
        .kit
        .publish_records(vec![
            broken(b"{\"not\": \"avro\"}"),
            broken(&[0, 0x7F, 0xFF, 0xFF, 0xFF, 1, 2, 3]),
            broken(&[0, 0]),
            OutRecord::new(topic.clone(), Some(b"sensor-01".to_vec()), None),
            writer.record(&with_nul, &Origin::default(), None).unwrap(),
            writer.record(&firing("sensor-01"), &Origin::default(), None).unwrap(),
        ])
        .await;
    eventually("the good one is a notification", || async { (world.count("notification").await == 1).then_some(()) }).await;
    let mut reasons =
        eventually("all letters are there", || async { Some(world.dead_letters().await).filter(|found| found.len() == 5) }).await;
    reasons.sort();
    assert_eq!(reasons, ["bad_magic", "no_value", "schema_unknown", "too_short", "unstorable"]);
    assert_eq!(replica.ask(Method::GET, "/v1/me").await.status(), 200);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redriven_record_is_read_as_one_of_its_own_topic() {
    let world = World::new().await;
    let replica = world.start().await;
    let writer = EventWriter::new("test", &world.kit.kafka).with::<TemperatureAlert>(&world.kit.registry).await.unwrap();
    let alert = firing("sensor-01");
    let from = world.kit.kafka.prefixed("alerts.temperature.v1");
    let retry = world.kit.kafka.prefixed("retry.notifier.v1");
    let redriven = OutRecord::new(retry, Some(b"sensor-01".to_vec()), Some(writer.value(&alert).unwrap()));
    world.kit.publish_records(vec![redriven.header(stream::dlq::TOPIC, Some(from.as_bytes()))]).await;
    eventually("the redriven alert is a notification", || async { (world.count("notification").await == 1).then_some(()) }).await;
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lost_a_partition_cannot_write_any_more() {
    let world = World::new().await;
    let store = Store::new(&world.config(&[]).database).unwrap();
    store.migrate().await.unwrap();
    let outgoing = Outgoing::register(&world.kit.kafka, &world.kit.registry).await.unwrap();
    let arrival = |device: &str| {
        let alert = firing(device);
        let cause = Cause { event_id: events::Event::event_id(&alert), trace_id: None, at: alert.changed_at };
        Arrival { signal: Signal::of_alert(&alert), result: None, cause, origin: Origin::default(), trace: None }
    };
    let advance = |expected, next| Advance { topic: "alerts".into(), partition: 0, expected, next };

    store.apply(&[advance(0, 5)], &[&arrival("sensor-01")], &outgoing).await.unwrap();
    assert_eq!(store.position("alerts", 0).await.unwrap(), Some(5));
    // The zombie still believes in 0, and has another partition that is its own.
    let own = Advance { partition: 1, ..advance(0, 7) };
    let zombie = store.apply(&[advance(0, 3), own], &[&arrival("sensor-02")], &outgoing).await.unwrap_err();
    assert!(matches!(zombie, NotApplied::Fenced(ref fenced) if fenced.partition == 0), "{zombie:?}");
    assert_eq!((store.position("alerts", 0).await.unwrap(), store.position("alerts", 1).await.unwrap()), (Some(5), None));
    for table in ["notification", "notification_event", "outbox", "notification_key"] {
        assert_eq!(world.count(table).await, 1, "{table}");
    }
    // Retention took what lay between: the owner goes on from the log's start.
    store.apply(&[advance(8, 9)], &[], &outgoing).await.unwrap();
    assert_eq!(store.position("alerts", 0).await.unwrap(), Some(9));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_refused_leaves_nothing_behind() {
    let world = World::new().await;
    let store = Store::new(&world.config(&[]).database).unwrap();
    store.migrate().await.unwrap();
    let outgoing = Outgoing::register(&world.kit.kafka, &world.kit.registry).await.unwrap();
    sqlx::raw_sql("ALTER TABLE outbox ADD CHECK (aggregate_id = 'nothing')").execute(&world.pool).await.unwrap();
    let alert = firing("sensor-01");
    let cause = Cause { event_id: Uuid::new_v4(), trace_id: None, at: alert.changed_at };
    let arrival = Arrival { signal: Signal::of_alert(&alert), result: None, cause, origin: Origin::default(), trace: None };
    let advance = Advance { topic: "alerts".into(), partition: 0, expected: 0, next: 1 };
    assert!(store.apply(&[advance], &[&arrival], &outgoing).await.is_err());
    for table in ["notification", "notification_event", "outbox", "notification_key", "stream_position"] {
        assert_eq!(world.count(table).await, 0, "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_share_the_work_and_write_each_notification_once() {
    let world = World::new().await;
    let replicas = [world.start().await, world.start().await];
    let first: Vec<_> = (0..60).map(|number| firing(&format!("sensor-{number:02}"))).collect();
    let all: Vec<_> =
        first.iter().flat_map(|alert| [alert.clone(), then(alert, AlertState::Firing), then(alert, AlertState::Resolved)]).collect();
    world.alerts(&all[..90], 1).await;
    let [one, other] = replicas;
    one.stop().await;
    world.alerts(&all[90..], 120).await;
    eventually("all are resolved", || async { (world.count("notification WHERE state = 'RESOLVED'").await == 60).then_some(()) }).await;
    // Both changes a second later have one time: the fold comes first in the log, so the versions are these.
    assert_eq!(world.count("notification WHERE version = 3 AND occurrences = 2").await, 60);
    assert_eq!(world.count("outbox").await, 180);
    tokio::time::timeout(Duration::from_secs(20), other.stop()).await.unwrap();
}

/// Many keys, because the order of their rows is that of their random-looking ids.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_one_excursion_and_the_begin_of_the_next_fit_into_one_batch() {
    let world = World::new().await;
    let alerts: Vec<TemperatureAlert> = (0..30).map(|number| firing(&format!("sensor-{number:02}"))).collect();
    let replica = world.start().await;
    world.kit.publish(&alerts).await;
    eventually("all are open", || async { (world.count("notification WHERE state = 'OPEN'").await == 30).then_some(()) }).await;
    replica.stop().await;

    let resolved: Vec<TemperatureAlert> = alerts.iter().map(|alert| then(alert, AlertState::Resolved)).collect();
    let again: Vec<TemperatureAlert> = resolved.iter().map(next_excursion).collect();
    world.kit.publish(&[resolved, again].concat()).await;
    let replica = world.start().await;
    eventually("all are resolved", || async { (world.count("notification WHERE state = 'RESOLVED'").await == 30).then_some(()) }).await;
    eventually("all are open again", || async { (world.count("notification WHERE state = 'OPEN'").await == 30).then_some(()) }).await;
    assert_eq!(world.dead_letters().await, Vec::<String>::new());
    replica.stop().await;
}

fn next_excursion(resolved: &TemperatureAlert) -> TemperatureAlert {
    let started_at = Timestamp::from_micros(resolved.changed_at.as_micros() + 1_000_000);
    let alert_id = Uuid::new_v5(&Uuid::NAMESPACE_OID, resolved.alert_id.as_bytes()).to_string();
    TemperatureAlert { alert_id, state: AlertState::Firing, started_at, changed_at: started_at, ..resolved.clone() }
}
