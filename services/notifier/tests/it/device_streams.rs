use std::time::SystemTime;

use events::{Reading, Timestamp};
use notifier::domain::access::Scope;
use reqwest::{Method, StatusCode};
use serde_json::json;
use testkit::temperature;

use crate::access::add_key;
use crate::world::{Event, Events, Replica, World, firing, problem};

fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

async fn open(replica: &Replica, query: &str) -> Events {
    Events::of(replica.ask(Method::GET, &format!("/v1/devices/stream?{query}")).await)
}

async fn next(events: &mut Events, name: &str) -> Event {
    let event = events.next().await.expect("the stream goes on");
    assert_eq!(event.name, name, "{event:?}");
    event
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_told_of_once_a_second_as_lists_have_it() {
    let world = World::new().await;
    let replica = world.start().await;
    world.alerts(&[firing("sensor-01")], 1).await;
    let mut events = open(&replica, "").await;
    let mut in_hall_2 = open(&replica, "group_id=hall-2").await;
    let many: Vec<_> = (0..200).map(|number| temperature("sensor-01", now(), f64::from(number))).collect();
    let elsewhere = Reading { group_id: Some("hall-2".into()), ..temperature("sensor-02", now(), 5.0) };
    let theirs = Reading { tenant: "acme".into(), ..temperature("sensor-03", now(), 5.0) };
    world.kit.publish(&many).await;
    world.kit.publish(&[theirs, elsewhere]).await;
    let mut told = Vec::new();
    // As many as seconds it took, if the end of one fell between.
    while told.last().is_none_or(|told: &Event| told.data["device_id"] != "sensor-02") {
        told.push(next(&mut events, "device").await);
    }
    assert!(told.len() <= 4, "{} for 201 readings", told.len());
    let last = told.iter().rfind(|told| told.data["device_id"] == "sensor-01").unwrap();
    let listed = replica.get("/v1/devices?q=sensor-01").await["data"][0].clone();
    assert_eq!((&last.data, &listed["unresolved_notifications"]), (&listed, &json!(1)));
    assert_eq!(next(&mut in_hall_2, "device").await.data["device_id"], "sensor-02");
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_reading_of_a_watched_device_is_told() {
    let world = World::new().await;
    let replica = world.start().await;
    let mut events = open(&replica, "device_id=sensor-01").await;
    let at = now();
    let readings: Vec<_> = (0..20).map(|number| temperature("sensor-01", at, f64::from(number))).collect();
    world.kit.publish(&[temperature("sensor-02", at, 0.5), Reading { tenant: "acme".into(), ..readings[0].clone() }]).await;
    world.kit.publish(&readings).await;
    let (mut values, mut devices) = (Vec::new(), 0);
    while values.len() < 20 || devices == 0 {
        let event = events.next().await.unwrap();
        assert_eq!(event.data["device_id"], "sensor-01", "{event:?}");
        match event.name.as_str() {
            "reading" => values.push(event.data["value"].as_f64().unwrap()),
            "device" => devices += 1,
            other => panic!("{other}"),
        }
    }
    assert_eq!(values, (0..20).map(f64::from).collect::<Vec<_>>());
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_opens_the_stream_it_was_made_for() {
    let world = World::new().await;
    let replica = world.start().await;
    let ticket = async |body| {
        let response = replica.post("/v1/stream-tickets", &body).await;
        assert_eq!(response.status(), StatusCode::CREATED);
        response.json::<serde_json::Value>().await.unwrap()["url"].as_str().unwrap().to_owned()
    };
    let url = ticket(json!({ "stream": "devices", "group_id": ["hall-2"], "status": ["UNKNOWN"] })).await;
    assert!(url.starts_with("/v1/devices/stream?ticket="), "{url}");
    let ask = |url: &str| replica.request(Method::GET, url).send();
    let mut events = Events::of(ask(&url).await.unwrap());
    let in_hall_2 = Reading { group_id: Some("hall-2".into()), ..temperature("sensor-02", now(), 5.0) };
    world.kit.publish(&[temperature("sensor-01", now(), 1.0), in_hall_2]).await;
    assert_eq!(next(&mut events, "device").await.data["device_id"], "sensor-02");

    let of_notifications = ticket(json!({})).await;
    problem(ask(&url.replace("devices", "notifications")).await.unwrap(), StatusCode::UNAUTHORIZED).await;
    problem(ask(&of_notifications.replace("notifications", "devices")).await.unwrap(), StatusCode::UNAUTHORIZED).await;
    problem(ask(&format!("{url}&group_id=hall-1")).await.unwrap(), StatusCode::BAD_REQUEST).await;
    for wrong in [json!({ "stream": "devices", "label": ["a=b"] }), json!({ "health": ["STUCK"] }), json!({ "stream": "readings" })] {
        problem(replica.post("/v1/stream-tickets", &wrong).await, StatusCode::BAD_REQUEST).await;
    }
    add_key(&world, "fw_writer_0000000000000", "default", &[Scope::Write], None).await;
    let writer = replica.request(Method::GET, "/v1/devices/stream").bearer_auth("fw_writer_0000000000000").send().await.unwrap();
    problem(writer, StatusCode::FORBIDDEN).await;
    replica.stop().await;
}
