use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnectProperties, LastWill, Packet, PublishProperties};
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use testkit::Mosquitto;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// An MQTT client as a device would use one.
pub(crate) struct Device {
    client: AsyncClient,
    acknowledged: watch::Receiver<usize>,
    connection: JoinHandle<()>,
}

impl Device {
    pub(crate) async fn connect(broker: &Mosquitto, id: &str) -> Self {
        Self::with(options(broker, id)).await
    }

    /// A device whose will says `offline`, retained.
    pub(crate) async fn with_will(broker: &Mosquitto, id: &str) -> Self {
        let mut options = options(broker, id);
        options.set_last_will(LastWill::new(format!("devices/{id}/status"), "offline", QoS::AtLeastOnce, true, None));
        Self::with(options).await
    }

    /// The session of client `id` with a subscription to `filter`, left behind at the broker.
    pub(crate) async fn leave_subscription(broker: &Mosquitto, id: &str, filter: &str) {
        let mut options = options(broker, id);
        let mut properties = ConnectProperties::new();
        properties.session_expiry_interval = Some(3_600);
        options.set_clean_start(false).set_connect_properties(properties);
        let (client, mut connection) = AsyncClient::new(options, 10);
        client.subscribe(filter, QoS::ExactlyOnce).await.unwrap();
        while !matches!(connection.poll().await.unwrap(), Event::Incoming(Packet::SubAck(_))) {}
        client.disconnect().await.unwrap();
        while connection.poll().await.is_ok() {}
    }

    /// The payloads that come to `filter`.
    pub(crate) async fn subscribe(broker: &Mosquitto, id: &str, filter: &str) -> mpsc::UnboundedReceiver<String> {
        let (client, mut connection) = AsyncClient::new(options(broker, id), 10);
        client.subscribe(filter, QoS::AtLeastOnce).await.unwrap();
        while !matches!(connection.poll().await.unwrap(), Event::Incoming(Packet::SubAck(_))) {}
        let (payloads, received) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            // Lives as long as somebody listens.
            let _client = client;
            while let Ok(event) = connection.poll().await {
                if let Event::Incoming(Packet::Publish(publish)) = event
                    && payloads.send(String::from_utf8_lossy(&publish.payload).into_owned()).is_err()
                {
                    return;
                }
            }
        });
        received
    }

    async fn with(options: MqttOptions) -> Self {
        let (client, mut connection) = AsyncClient::new(options, 1_000);
        let (count, acknowledged) = watch::channel(0);
        while !matches!(connection.poll().await.unwrap(), Event::Incoming(Packet::ConnAck(_))) {}
        let connection = tokio::spawn(async move {
            loop {
                match connection.poll().await {
                    Ok(Event::Incoming(Packet::PubAck(_) | Packet::PubComp(_))) => count.send_modify(|count| *count += 1),
                    Ok(_) => {}
                    Err(_) => return,
                }
            }
        });
        Self { client, acknowledged, connection }
    }

    pub(crate) async fn publish(&self, topic: &str, qos: u8, payload: impl Into<Vec<u8>>) {
        self.client.publish(topic, quality(qos), false, payload.into()).await.unwrap();
    }

    pub(crate) async fn publish_retained(&self, topic: &str, payload: impl Into<Vec<u8>>) {
        self.client.publish(topic, QoS::AtLeastOnce, true, payload.into()).await.unwrap();
    }

    pub(crate) async fn publish_with(&self, topic: &str, payload: impl Into<Vec<u8>>, user_properties: &[(&str, &str)]) {
        let user_properties = user_properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let properties = PublishProperties { user_properties, ..PublishProperties::default() };
        self.client.publish_with_properties(topic, QoS::AtLeastOnce, false, payload.into(), properties).await.unwrap();
    }

    pub(crate) async fn publish_typed(&self, topic: &str, payload: impl Into<Vec<u8>>, content_type: &str) {
        let properties = PublishProperties { content_type: Some(content_type.to_owned()), ..PublishProperties::default() };
        self.client.publish_with_properties(topic, QoS::AtLeastOnce, false, payload.into(), properties).await.unwrap();
    }

    /// Waits until the broker has acknowledged `count` messages at `QoS` 1 or 2 in all.
    pub(crate) async fn acknowledged(&mut self, count: usize) {
        let reached = tokio::time::timeout(Duration::from_mins(1), self.acknowledged.wait_for(|acknowledged| *acknowledged >= count));
        reached.await.expect("the broker acknowledges within 60 s").expect("the device stays connected");
    }

    /// Gone without a word: the broker publishes its will.
    pub(crate) fn vanish(self) {
        self.connection.abort();
    }
}

fn options(broker: &Mosquitto, id: &str) -> MqttOptions {
    let mut options = MqttOptions::new(id, "127.0.0.1", broker.port);
    let mut properties = ConnectProperties::new();
    properties.max_packet_size = Some(4 << 20);
    options.set_connect_properties(properties).set_outgoing_inflight_upper_limit(1_000);
    options
}

fn quality(qos: u8) -> QoS {
    rumqttc::v5::mqttbytes::qos(qos).unwrap()
}
