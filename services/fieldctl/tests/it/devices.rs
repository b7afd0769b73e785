use std::time::Duration;

use events::topics::{READINGS, TEMPERATURE_ALERTS};
use events::{AlertState, Reading, TemperatureAlert};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use testkit::{Kit, Mosquitto, capture};

use crate::succeed;

/// Everything published at a broker from now on.
pub(crate) struct Subscriber {
    _client: AsyncClient,
    connection: EventLoop,
}

impl Subscriber {
    pub(crate) async fn at(broker: &Mosquitto) -> Self {
        let (client, connection) = AsyncClient::new(MqttOptions::new("subscriber", "127.0.0.1", broker.port), 10);
        client.subscribe("#", QoS::AtLeastOnce).await.unwrap();
        let mut subscriber = Self { _client: client, connection };
        while !matches!(subscriber.connection.poll().await.unwrap(), Event::Incoming(Packet::SubAck(_))) {}
        subscriber
    }

    /// Topic and payload of the next message.
    pub(crate) async fn next(&mut self) -> (String, Vec<u8>) {
        loop {
            let event = tokio::time::timeout(Duration::from_secs(20), self.connection.poll()).await.expect("a message comes");
            if let Event::Incoming(Packet::Publish(message)) = event.unwrap() {
                return (String::from_utf8(message.topic.to_vec()).unwrap(), message.payload.to_vec());
            }
        }
    }

    async fn take(&mut self, count: usize) -> Vec<(String, String)> {
        let mut messages = Vec::with_capacity(count);
        while messages.len() < count {
            let (topic, payload) = self.next().await;
            messages.push((topic, String::from_utf8_lossy(&payload).into_owned()));
        }
        messages
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn simulated_devices_are_born_report_and_leave() {
    let (kit, broker) = (Kit::with_topics(&[]).await, Mosquitto::start().await);
    let mut subscriber = Subscriber::at(&broker).await;
    let ran = succeed(&kit, &format!("simulate --mqtt {} --devices 4 --count 100 --seed 3", broker.url())).await;
    assert!(ran.out.starts_with("seed 3") && ran.out.contains("100 messages"), "{ran:?}");

    let messages = subscriber.take(108).await;
    let said = |state: &str| messages.iter().filter(|(topic, payload)| topic.ends_with("/status") && payload == state).count();
    assert_eq!((said("online"), said("offline")), (4, 4));
    let readings: Vec<_> = messages.iter().filter(|(topic, _)| topic == "devices/sim-002/telemetry").collect();
    let json: serde_json::Value = serde_json::from_str(&readings[24].1).unwrap();
    assert_eq!((readings.len(), &json["seq"], &json["group"]), (25, &24.into(), &"room-1".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_dies_and_comes_back_costs_no_message() {
    let (kit, mut broker) = (Kit::with_topics(&[]).await, Mosquitto::start().await);
    let line = format!("simulate --mqtt {} --devices 3 --rate 300 --count 900", broker.url());
    let restart = async {
        Subscriber::at(&broker).await.take(100).await;
        broker.kill_and_restart().await;
    };
    let (ran, ()) = tokio::join!(succeed(&kit, &line), restart);
    assert!(ran.out.contains("900 messages") && ran.out.contains("all acknowledged"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_gives_the_same_values_again() {
    let kit = Kit::with_topics(&[READINGS]).await;
    for _ in 0..2 {
        succeed(&kit, &format!("simulate --into {READINGS} --devices 1 --count 50 --seed 11 --excursions")).await;
    }
    let values: Vec<f64> = capture(&kit, READINGS).events::<Reading>(100).await.iter().map(|reading| reading.value).collect();
    // A few minutes of the daily cycle lie between two runs at most.
    assert!(values[..50].iter().zip(&values[50..]).all(|(one, other)| (one - other).abs() < 0.1), "{values:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn synthetic_alerts_fire_and_resolve_in_turn() {
    let kit = Kit::with_topics(&[TEMPERATURE_ALERTS]).await;
    succeed(&kit, &format!("simulate --into {TEMPERATURE_ALERTS} --devices 1 --count 4")).await;
    let states: Vec<_> = capture(&kit, TEMPERATURE_ALERTS).events::<TemperatureAlert>(4).await.iter().map(|alert| alert.state).collect();
    assert_eq!(states, [AlertState::Firing, AlertState::Resolved, AlertState::Firing, AlertState::Resolved]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_csv_is_replayed_with_its_own_times() {
    let (kit, broker, folder) = (Kit::with_topics(&[READINGS]).await, Mosquitto::start().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("readings.csv");
    std::fs::write(&file, "timestamp,value\n2026-01-31 08:15:30,21.5\n1769847331,22.5\n").unwrap();
    let line = format!("replay {} --device press-4 --metric vibration --unit mm/s", file.display());

    succeed(&kit, &format!("{line} --into {READINGS}")).await;
    let replayed = capture(&kit, READINGS).events::<Reading>(2).await;
    let first = &replayed[0];
    assert_eq!((first.device_id.as_str(), first.metric.as_str(), first.unit.as_str(), first.value), ("press-4", "vibration", "mm/s", 21.5));
    assert_eq!(replayed[1].measured_at.as_millis() - first.measured_at.as_millis(), 1_000);

    let mut subscriber = Subscriber::at(&broker).await;
    succeed(&kit, &format!("{line} --mqtt {}", broker.url())).await;
    let message = ("devices/press-4/telemetry".to_owned(), r#"{"timestamp":1769847330.0,"vibration":21.5}"#.to_owned());
    assert_eq!(subscriber.take(2).await[0], message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_device_stays_retired() {
    let (kit, broker) = (Kit::with_topics(&[]).await, Mosquitto::start().await);
    succeed(&kit, &format!("device retire sim-001 --mqtt {}", broker.url())).await;
    // Retained: who comes later is told too.
    let mut subscriber = Subscriber::at(&broker).await;
    assert_eq!(subscriber.take(1).await, [("devices/sim-001/status".to_owned(), "retired".to_owned())]);
}
