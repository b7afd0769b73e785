//! Simulated devices that take commands.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use serde_json::{Value, json};
use testkit::{Kit, Mosquitto, eventually};

use crate::devices::Subscriber;
use crate::succeed;

fn order(command_id: &str, attempt: u32) -> Vec<u8> {
    let expires_at = events::Timestamp::from(SystemTime::now()).saturating_add(Duration::from_mins(1)).to_string();
    let order =
        json!({ "command_id": command_id, "name": "set", "arguments": { "speed": 3 }, "attempt": attempt, "expires_at": expires_at });
    order.to_string().into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn simulated_devices_do_once_what_they_are_told_and_answer_as_they_behave() {
    let (kit, broker, folder) = (Kit::with_topics(&[]).await, Mosquitto::start().await, tempfile::tempdir().unwrap());
    let report = folder.path().join("report.jsonl");
    let mut subscriber = Subscriber::at(&broker).await;
    let line = format!(
        "simulate --mqtt {} --devices 6 --rate 10 --duration 12s --actuators --misbehave late=1,twice=1,wrong=1,never=1,error=1 \
         --late-by 3s --report {}",
        broker.url(),
        report.display()
    );
    let (client, mut connection) = AsyncClient::new(MqttOptions::new("controller", "127.0.0.1", broker.port), 100);
    let telling = async {
        // All of them report readings: they are there, and hear.
        let mut heard = std::collections::BTreeSet::new();
        while heard.len() < 6 {
            let (topic, _) = subscriber.next().await;
            heard.extend(topic.ends_with("/telemetry").then_some(topic));
        }
        for attempt in 1..=2 {
            for device in 1..=6 {
                let topic = format!("devices/sim-{device:03}/commands");
                client.publish(topic, QoS::ExactlyOnce, false, order(&format!("c{device}"), attempt)).await.unwrap();
            }
        }
        let mut done = 0;
        while done < 12 {
            if matches!(connection.poll().await.unwrap(), Event::Incoming(Packet::PubComp(_))) {
                done += 1;
            }
        }
        let mut states: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        // Late, twice (two answers each time), wrong, error, and the one that obeys.
        while states.values().map(Vec::len).sum::<usize>() < 2 + 4 + 2 + 2 + 2 {
            let (topic, payload) = subscriber.next().await;
            if topic.ends_with("/state") {
                states.entry(topic).or_default().push(serde_json::from_slice(&payload).unwrap());
            }
        }
        states
    };
    let (_, states) = tokio::join!(succeed(&kit, &line), telling);
    let of = |device: u32| &states[&format!("devices/sim-{device:03}/state")];
    assert_eq!([of(1).len(), of(2).len(), of(3).len(), of(5).len(), of(6).len()], [2, 4, 2, 2, 2]);
    assert!(!states.contains_key("devices/sim-004/state"));
    assert_eq!((&of(3)[0]["speed"], &of(6)[0]["speed"], &of(6)[0]["command_id"]), (&json!(4.0), &json!(3), &json!("c6")));
    assert_eq!((&of(5)[0]["error"], of(5)[0].get("speed")), (&json!("the actuator does not move"), None));

    let lines = eventually("the report is whole", || async {
        let text = std::fs::read_to_string(&report).ok()?;
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (lines.len() == 12).then_some(lines)
    })
    .await;
    let did = |device: &str| {
        let of_device = lines.iter().filter(|line| line["device_id"] == device);
        of_device.map(|line| (line["attempt"].as_i64().unwrap(), line["deed"].as_str().unwrap())).collect::<Vec<_>>()
    };
    for device in ["sim-001", "sim-002", "sim-003", "sim-006"] {
        assert_eq!(did(device), [(1, "executed"), (2, "repeated")], "{device}");
    }
    assert_eq!((did("sim-004"), did("sim-005")), (vec![(1, "ignored"), (2, "ignored")], vec![(1, "ignored"), (2, "ignored")]));
}
