//! Commands on their way to the devices.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use events::{OutboundCommand, Timestamp, topics};
use mqtt_bridge::{COMMANDS, NAME};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use testkit::{Answer, Lamps, Mosquitto, OtlpReceiver, Process, What, capture, eventually, seeds};
use uuid::Uuid;

use crate::bridge::{Field, Version, in_each_version};
use crate::device::Device;

in_each_version!(
    a_command_reaches_its_device_as_it_was_said,
    an_expired_command_is_not_published_and_what_makes_no_sense_stops_nobody,
    commands_reach_every_device_in_order_whatever_is_killed_and_cut,
);

const ON: [(&str, &str); 1] = [("MQTT_BRIDGE__COMMANDS__ENABLED", "true")];

fn now() -> Timestamp {
    SystemTime::now().into()
}

fn command(id: u128, device: &str) -> OutboundCommand {
    OutboundCommand {
        tenant: "default".into(),
        command_id: Uuid::from_u128(id),
        device_id: device.into(),
        name: "switch".into(),
        arguments: r#"{"fade": 2}"#.into(),
        desired_state: Some(format!(r#"{{"n": {id}}}"#)),
        attempt: 1,
        issued_at: now(),
        sent_at: now(),
        expires_at: now().saturating_add(Duration::from_mins(5)),
    }
}

fn obey(_: &str, _: &str, _: i64) -> Answer {
    Answer::Obey
}

fn environment(field: &Field) -> Vec<(String, String)> {
    let mut environment = field.environment();
    environment.push((ON[0].0.to_owned(), ON[0].1.to_owned()));
    environment
}

async fn a_command_reaches_its_device_as_it_was_said(version: Version) {
    let field = Field::new().await.speaking(version);
    let bridge = field.bridge(&ON).await;
    let mut heard = Device::subscribe(&field.broker, "lamp-1", "devices/lamp-1/commands").await;
    let mut elsewhere = Device::subscribe(&field.broker, "lamp-2", "devices/lamp-2/commands").await;
    let command = command(7, "lamp-1");
    field.kit.publish(std::slice::from_ref(&command)).await;
    let payload: serde_json::Value = serde_json::from_str(&heard.recv().await.unwrap()).unwrap();
    let expected = serde_json::json!({
        "command_id": command.command_id, "name": "switch", "arguments": {"fade": 2}, "desired_state": {"n": 7}, "attempt": 1,
        "issued_at": command.issued_at.to_string(), "expires_at": command.expires_at.to_string(),
    });
    assert_eq!(payload, expected);
    bridge.stop().await.unwrap();
    assert!(elsewhere.try_recv().is_err());
}

async fn an_expired_command_is_not_published_and_what_makes_no_sense_stops_nobody(version: Version) {
    let field = Field::new().await.speaking(version);
    let bridge = field.bridge(&ON).await;
    let mut heard = Device::subscribe(&field.broker, "lamp-1", "devices/lamp-1/commands").await;
    field
        .kit
        .publish(&[
            OutboundCommand { expires_at: now(), ..command(1, "lamp-1") },
            OutboundCommand { tenant: "acme".into(), ..command(2, "lamp-1") },
            OutboundCommand { arguments: "[]".into(), ..command(3, "lamp-1") },
            command(4, "lamp/1"),
            command(5, "+"),
            command(6, "lamp-1"),
        ])
        .await;
    assert!(heard.recv().await.unwrap().contains("\"n\":6"));
    let letters = capture(&field.kit, &topics::dlq(COMMANDS)).records(4).await;
    let mut reasons: Vec<_> = letters.iter().filter_map(|letter| letter.header("dlq-reason")).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["bad_device_id", "bad_device_id", "no_topic", "not_an_object"]);
    assert!(telemetry::metrics::render().contains("fieldwatch_mqtt_commands_total{outcome=\"expired\"}"));
    bridge.stop().await.unwrap();
    assert!(heard.try_recv().is_err());
}

/// At least once: a device may hear a command again, but in its order the first time, and none is missing.
async fn commands_reach_every_device_in_order_whatever_is_killed_and_cut(version: Version) {
    const COUNT: usize = 300;
    let ids: Vec<String> = (0..5).map(|lamp| format!("lamp-{lamp}")).collect();
    for seed in seeds().into_iter().take(2) {
        let mut random = StdRng::seed_from_u64(seed);
        let field = Field::new().await.speaking(version);
        let lamps = Lamps::start(&field.broker, &ids, obey).await;
        let mut bridge = Process::start(NAME, &environment(&field)).await;
        for first in (0..COUNT).step_by(10) {
            let some: Vec<_> = (first..first + 10).map(|number| command(number as u128 + 1, &ids[number % ids.len()])).collect();
            field.kit.publish(&some).await;
            match random.random_range(0..12) {
                0 | 1 => field.wire.cut(),
                2 => {
                    bridge.kill();
                    bridge.restart();
                }
                _ => {}
            }
        }
        eventually("all are done", || async {
            let done: BTreeSet<String> =
                lamps.happened().into_iter().filter(|one| one.what == What::Done).map(|one| one.command_id).collect();
            (done.len() == COUNT).then_some(())
        })
        .await;
        bridge.ready().await;
        let mut last = BTreeMap::new();
        let happened = lamps.happened();
        for one in happened.iter().filter(|one| one.what == What::Done) {
            let number = one.command_id.parse::<Uuid>().unwrap().as_u128();
            let before = last.insert(&one.device_id, number);
            assert!(before.is_none_or(|before| before < number), "seed {seed}: out of order: {one:?}");
        }
        let told = happened.iter().filter(|one| one.what == What::Told).count();
        eprintln!("seed {seed}: {COUNT} commands were told {told} times");
        assert_eq!(bridge.terminate().await, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_gets_again_what_it_had_not_confirmed() {
    let mut field = Field::new().await;
    let mut bridge = Process::start(NAME, &environment(&field)).await;
    field.kit.publish(&[command(1, "lamp-1")]).await;
    caught_up(&field).await;
    field.wire.keep_down(true);
    field.kit.publish(&[command(2, "lamp-1")]).await;
    field.broker.kill_and_restart().await;
    Device::leave_subscription(&field.broker, "lamp-1", "devices/lamp-1/commands").await;
    field.wire.keep_down(false);
    bridge.ready().await;
    let lamps = Lamps::start(&field.broker, &["lamp-1".to_owned()], obey).await;
    eventually("what was published while the broker was away is done", || async {
        lamps.happened().iter().any(|one| one.what == What::Done && one.command_id == Uuid::from_u128(2).to_string()).then_some(())
    })
    .await;
    assert_eq!(bridge.terminate().await, Some(0));
}

async fn caught_up(field: &Field) {
    eventually("the commands are published", || async { (field.kit.lag(COMMANDS, topics::OUTBOUND_COMMANDS) == Some(0)).then_some(()) })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_away_gets_what_has_not_expired_and_its_trace() {
    let (field, otlp) = (Field::new().await, OtlpReceiver::start().await);
    let mut environment = environment(&field);
    environment.push(("FIELDWATCH__TELEMETRY__OTLP_ENDPOINT".into(), otlp.endpoint.clone()));
    environment.push(("FIELDWATCH__TELEMETRY__SAMPLE_RATIO".into(), "1".into()));
    let bridge = Process::start(NAME, &environment).await;
    Device::leave_subscription(&field.broker, "lamp-1", "devices/lamp-1/commands").await;
    let short = OutboundCommand { expires_at: now().saturating_add(Duration::from_millis(1_500)), ..command(1, "lamp-1") };
    field.kit.publish(&[short.clone(), command(2, "lamp-1")]).await;
    caught_up(&field).await;
    eventually("the first has expired", || async { (now().since(short.sent_at) > Duration::from_secs(4)).then_some(()) }).await;
    let lamps = Lamps::start(&field.broker, &["lamp-1".to_owned()], obey).await;
    eventually("the other is done", || async { (lamps.count(What::Done) > 0).then_some(()) }).await;
    let happened = lamps.happened();
    assert!(happened.iter().all(|one| one.command_id == Uuid::from_u128(2).to_string()), "the broker dropped the first: {happened:?}");
    let trace = happened[0].traceparent.as_deref().unwrap()[3..35].to_owned();
    let span = eventually("its span", || async { otlp.spans().into_iter().find(|span| span.trace_id == trace) }).await;
    assert_eq!((span.service.as_str(), span.name.as_str()), (NAME, "publish devices/{device}/commands"));
    assert_eq!(bridge.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_refuses_is_a_dead_letter_and_what_is_beside_it_goes_on() {
    let rights = "acl_file @DATA@/rights";
    let prepare = |folder: &std::path::Path| {
        std::fs::write(folder.join("rights"), "topic readwrite devices/lamp-1/#\ntopic readwrite devices/+/state\n").unwrap();
    };
    let field = Field::with(Mosquitto::prepared(rights, prepare).await).await;
    let bridge = field.bridge(&[ON[0], ("MQTT_BRIDGE__ROUTES", STATES_ONLY)]).await;
    let mut heard = Device::subscribe(&field.broker, "lamp-1", "devices/lamp-1/commands").await;
    field.kit.publish(&[1, 2, 3, 4, 5, 6].map(|id| command(id, if id % 2 == 0 { "lamp-1" } else { "lamp-2" }))).await;
    for letter in capture(&field.kit, &topics::dlq(COMMANDS)).records(3).await {
        assert_eq!((letter.header("dlq-reason"), letter.key.as_deref()), (Some("refused_by_broker"), Some(b"lamp-2".as_slice())));
    }
    // At least once, for the connection ended under them.
    let mut missing = BTreeSet::from(["\"n\":2", "\"n\":4", "\"n\":6"]);
    while !missing.is_empty() {
        let message = tokio::time::timeout(Duration::from_secs(30), heard.recv()).await.unwrap().unwrap();
        missing.retain(|one| !message.contains(one));
    }
    bridge.stop().await.unwrap();
}

const STATES_ONLY: &str = r#"[{ name = "device-state", filter = "devices/+/state", payload = "state", device = "topic:2" }]"#;
