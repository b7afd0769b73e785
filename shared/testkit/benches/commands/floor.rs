//! What no command can be faster than: a message of its size to a device, at `QoS` 2, through the broker alone.

use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use testkit::Mosquitto;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Bytes of what mqtt-bridge tells a device.
const SIZE: usize = 300;

/// How long each message took.
pub(crate) async fn run(rate: u32, seconds: u32) -> Vec<Duration> {
    let broker = Mosquitto::start().await;
    let (teller, events) = connect(&broker, "teller");
    tokio::spawn(poll(events, None));
    let (device, events) = connect(&broker, "device");
    let (heard, mut hearing) = mpsc::unbounded_channel();
    device.subscribe("devices/device/commands", QoS::ExactlyOnce).await.unwrap();
    tokio::spawn(poll(events, Some(heard)));
    hearing.recv().await.expect("the subscription");

    let count = rate * seconds;
    let mut pace = tokio::time::interval(Duration::from_secs(1) / rate);
    let mut told = Vec::with_capacity(count as usize);
    for _ in 0..count {
        pace.tick().await;
        told.push(Instant::now());
        teller.publish("devices/device/commands", QoS::ExactlyOnce, false, vec![b'x'; SIZE]).await.unwrap();
    }
    let mut times = Vec::with_capacity(told.len());
    for told in told {
        let heard: Instant = hearing.recv().await.expect("every message comes");
        times.push(heard - told);
    }
    times
}

fn connect(broker: &Mosquitto, id: &str) -> (AsyncClient, EventLoop) {
    AsyncClient::new(MqttOptions::new(id, "127.0.0.1", broker.port), 1_000)
}

/// Tells of the subscription and of every message, when there is somebody to tell.
async fn poll(mut events: EventLoop, heard: Option<mpsc::UnboundedSender<Instant>>) {
    while let Ok(event) = events.poll().await {
        if let (Event::Incoming(Packet::Publish(_) | Packet::SubAck(_)), Some(heard)) = (event, &heard) {
            let _ = heard.send(Instant::now());
        }
    }
}
