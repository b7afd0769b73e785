//! Replicas that are killed again and again. `FIELDWATCH_TEST_ALERTS` says how many alerts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use events::{AlertState, TemperatureAlert};
use serde_json::json;
use testkit::{Process, count, eventually_within, free_port};

use crate::endpoint::Endpoint;
use crate::world::{Events, KEY, SECRETS_KEY, World, firing, then};

/// Between two kills.
const ALERTS_EACH: usize = 400;
/// How long the alerts between two kills may take.
const PATIENCE: Duration = Duration::from_mins(2);

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_killed_in_turn_make_every_notification_once_tell_each_under_one_id_and_stream_every_version() {
    let alerts: Vec<_> = (0..count("FIELDWATCH_TEST_ALERTS", 150)).map(|index| firing(&format!("sensor-{index:05}"))).collect();
    let world = World::new().await;
    let endpoint = Endpoint::start().await;
    let listen = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
    let mut replicas = [start(&world, &listen[0]).await, start(&world, &listen[1]).await];
    configure(&listen[0], &endpoint).await;

    let started = Instant::now();
    let work = async { tokio::join!(watch(&listen, 2 * alerts.len()), kill_in_turn(&world, &mut replicas, &alerts)) };
    let ((versions, resumed), kills) = tokio::select! {
        done = work => done,
        () = relay(&world) => unreachable!("it relays for ever"),
    };
    let count = alerts.len() as i64;
    assert_eq!((world.count("notification").await, world.count("notification_event").await), (count, 2 * count));
    assert_eq!(world.count("delivery").await, count);
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let received = endpoint.received();
    for received in &received {
        ids.entry(received.devices().remove(0)).or_default().insert(received.id().to_owned());
    }
    assert_eq!((ids.len(), ids.values().filter(|ids| ids.len() > 1).count()), (alerts.len(), 0));
    let mut streamed: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for (id, version) in &versions {
        streamed.entry(id).or_default().push(*version);
    }
    assert_eq!((streamed.len(), streamed.values().filter(|versions| **versions != [1, 2]).count()), (alerts.len(), 0));
    let (repeated, seconds) = (received.len() - alerts.len(), started.elapsed().as_secs());
    println!("{count} alerts, {kills} kills, the stream resumed {resumed} times, {repeated} deliveries repeated, {seconds} s");
}

async fn start(world: &World, listen: &str) -> Process {
    let environment = world.environment(&[
        ("NOTIFIER__API__LISTEN", listen),
        ("NOTIFIER__SECRETS__KEY", SECRETS_KEY),
        ("NOTIFIER__DELIVERY__ALLOWED_NETWORKS", "[\"127.0.0.0/8\"]"),
        ("NOTIFIER__DELIVERY__LEASE", "1s"),
        ("NOTIFIER__DELIVERY__TIMEOUT", "500ms"),
        ("NOTIFIER__DELIVERY__PER_MINUTE", "1000000"),
        ("FIELDWATCH__KAFKA__SESSION_TIMEOUT", "2s"),
    ]);
    Process::start("notifier", &environment).await
}

async fn configure(listen: &str, endpoint: &Endpoint) {
    let http = reqwest::Client::new();
    for (path, body) in [
        ("webhooks/hook", json!({ "url": endpoint.url, "concurrency": 16, "rate_per_second": 1000 })),
        ("receivers/ops", json!({ "webhooks": ["hook"] })),
        ("routes", json!({ "receiver": "ops", "group_by": ["device_id"], "group_wait": "50ms" })),
    ] {
        let put = http.put(format!("http://{listen}/v1/{path}")).bearer_auth(KEY).json(&body).send().await.unwrap();
        assert!(put.status().is_success(), "{path}");
    }
}

/// What outbox-relay does.
async fn relay(world: &World) {
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    loop {
        pace.tick().await;
        world.relay().await;
    }
}

/// Publishes the alerts, each of them twice, and kills a replica whenever some of the new ones are delivered. Returns how
/// often, when all are.
async fn kill_in_turn(world: &World, replicas: &mut [Process; 2], alerts: &[TemperatureAlert]) -> usize {
    let each = ALERTS_EACH.min(alerts.len() / 3);
    let delivered = async |least: usize| {
        eventually_within(PATIENCE, "they are delivered", || async {
            (world.count("delivery WHERE state = 'DELIVERED'").await >= least as i64).then_some(())
        })
        .await;
    };
    let mut kills = 0;
    for some in alerts.chunks(each) {
        world.kit.publish(some).await;
        world.kit.publish(&some.iter().map(|alert| then(alert, AlertState::Firing)).collect::<Vec<_>>()).await;
        delivered(kills * each + some.len() / 2).await;
        let replica = &mut replicas[kills % 2];
        replica.kill();
        replica.restart();
        replica.ready().await;
        kills += 1;
    }
    delivered(alerts.len()).await;
    kills
}

/// Follows the stream from replica to replica as they die, as a browser does; returns the versions in the order they came,
/// and how often it resumed.
async fn watch(listen: &[String; 2], wanted: usize) -> (Vec<(String, i64)>, usize) {
    let http = reqwest::Client::new();
    let (mut versions, mut last, mut opened) = (Vec::new(), String::new(), 0);
    for replica in listen.iter().cycle() {
        let request = http.get(format!("http://{replica}/v1/notifications/stream")).bearer_auth(KEY).header("last-event-id", &last);
        let Some(answer) = request.send().await.ok().filter(|answer| answer.status().is_success()) else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let mut events = Events::of(answer);
        opened += 1;
        while let Some(event) = events.next().await {
            match event.name.as_str() {
                "snapshot" => assert!(last.is_empty(), "it begins anew after {last}"),
                // It comes back with what it has.
                "gap" => assert_eq!(event.data["reason"], "slow_client"),
                _ => versions.push(event.version()),
            }
            if !event.id.is_empty() {
                last = event.id;
            }
            if versions.len() == wanted {
                return (versions, opened - 1);
            }
        }
    }
    unreachable!("there are replicas for ever")
}
