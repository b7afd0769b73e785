//! MQTT 3.1.1: no expiry of the session, no Receive Maximum and no user properties; the rest is as in `version5`.

use std::time::SystemTime;

use rumqttc::mqttbytes::v4::ConnectReturnCode as Refusal;
use rumqttc::{
    AsyncClient, ConnectionError, Event, EventLoop, LastWill, MqttOptions, MqttState, Outgoing, Packet, Publish, QoS, SubAck,
    SubscribeFilter, SubscribeReasonCode, Transport,
};
use stream::Failure;

use crate::adapters::message::MqttMessage;
use crate::adapters::mqtt::client::{Connection, Incoming, Published, Received, Requests};
use crate::adapters::mqtt::options::{self, OFFLINE, Purpose, REQUESTS};
use crate::adapters::mqtt::release::Release;
use crate::config::{Broker, MqttConfig, bytes};
use crate::domain::Route;

pub struct Requests3 {
    client: AsyncClient,
    filters: Vec<SubscribeFilter>,
}

pub struct Connection3 {
    events: EventLoop,
    filters: Vec<SubscribeFilter>,
}

/// A client; to take, for a session that outlives its connections: fixed id, no clean session.
pub(super) fn client<'a>(
    config: &MqttConfig,
    client_id: &str,
    purpose: Purpose,
    routes: impl Iterator<Item = &'a Route>,
) -> Result<(Requests3, Connection3), Failure> {
    let broker: Broker = config.url.parse().map_err(Failure::fatal)?;
    let mut options = MqttOptions::new(client_id, broker.host, broker.port);
    options.set_clean_session(purpose == Purpose::Give).set_keep_alive(config.keep_alive).set_manual_acks(true);
    options.set_inflight(purpose.publishes());
    let largest = bytes(config.max_packet_size);
    options.set_max_packet_size(largest, largest);
    if !config.username.is_empty() {
        let password = config.password.or_file(&config.password_file)?;
        options.set_credentials(&config.username, password.expose());
    }
    if broker.tls {
        options.set_transport(Transport::tls_with_config(options::tls(config)?));
    }
    if !config.status_topic.is_empty() {
        options.set_last_will(LastWill::new(&config.status_topic, OFFLINE, QoS::AtLeastOnce, true));
    }
    let (client, mut events) = AsyncClient::new(options, REQUESTS);
    events.network_options.set_tcp_nodelay(true);
    expect_any_pubrel(&mut events.state);
    let filter = |route| SubscribeFilter::new(options::path(route, &config.shared_group), QoS::ExactlyOnce);
    let filters: Vec<_> = routes.map(filter).collect();
    Ok((Requests3 { client, filters: filters.clone() }, Connection3 { events, filters }))
}

impl Connection for Connection3 {
    type Requests = Requests3;

    async fn next(&mut self) -> Result<Incoming, Failure> {
        match self.events.poll().await {
            Ok(event) => Ok(self.incoming(event)),
            Err(error) => Err(lost(&error)),
        }
    }

    fn start_over(&mut self) -> Vec<Incoming> {
        self.events.clean();
        self.events.pending.clear();
        let unread = std::mem::take(&mut self.events.state.events);
        expect_any_pubrel(&mut self.events.state);
        unread.into_iter().map(|event| self.incoming(event)).collect()
    }
}

impl Connection3 {
    fn incoming(&self, event: Event) -> Incoming {
        match event {
            Event::Incoming(Packet::Publish(publish)) => Incoming::Message(received(publish)),
            Event::Incoming(Packet::ConnAck(connack)) => Incoming::Connected { session_present: connack.session_present },
            Event::Incoming(Packet::SubAck(suback)) => Incoming::Subscribed(subscribed(&suback, &self.filters)),
            Event::Outgoing(Outgoing::Publish(packet_id)) => Incoming::Sent(packet_id),
            Event::Outgoing(Outgoing::Disconnect) => Incoming::Left,
            Event::Incoming(Packet::PubComp(answer)) => Incoming::Completed(answer.pkid),
            _ => Incoming::Other,
        }
    }
}

impl Requests for Requests3 {
    fn acknowledge(&self, release: &Release) -> bool {
        let qos = if release.qos == 1 { QoS::AtLeastOnce } else { QoS::ExactlyOnce };
        let mut publish = Publish::new("", qos, Vec::new());
        publish.pkid = release.packet_id;
        self.client.try_ack(&publish).is_ok()
    }

    fn subscribe(&self) -> Result<(), Failure> {
        self.client.try_subscribe_many(self.filters.clone()).map_err(Failure::fatal)
    }

    fn publish(&self, topic: &str, payload: &str) -> Result<(), Failure> {
        self.client.try_publish(topic, QoS::AtLeastOnce, true, payload).map_err(Failure::transient)
    }

    fn command(&self, command: Published) -> Result<(), Failure> {
        self.client.try_publish(command.topic, QoS::ExactlyOnce, false, command.payload).map_err(Failure::transient)
    }

    fn disconnect(&self) -> Result<(), Failure> {
        self.client.try_disconnect().map_err(Failure::transient)
    }
}

fn received(publish: Publish) -> Received {
    let message = MqttMessage {
        topic: publish.topic,
        payload: publish.payload,
        qos: publish.qos as u8,
        retained: publish.retain,
        user_properties: Vec::new(),
        content_type: None,
        received_at: SystemTime::now().into(),
    };
    Received { message, packet_id: publish.pkid }
}

/// As in `version5`: the client of this version forgets with each connection, too, what it sent a PUBREC for.
fn expect_any_pubrel(state: &mut MqttState) {
    let mut publish = Publish::new("-", QoS::ExactlyOnce, Vec::new());
    for packet_id in 1..=u16::MAX {
        publish.pkid = packet_id;
        // With acknowledgements by hand this only notes the packet id.
        let _ = state.handle_incoming_packet(Packet::Publish(publish.clone()));
        state.events.clear();
    }
}

/// What a lost connection means: nearly always "later"; only what the configuration is wrong about is Fatal.
fn lost(error: &ConnectionError) -> Failure {
    match error {
        ConnectionError::ConnectionRefused(refusal) => match refusal {
            Refusal::RefusedProtocolVersion | Refusal::BadClientId | Refusal::BadUserNamePassword | Refusal::NotAuthorized => {
                Failure::fatal(error)
            }
            Refusal::Success | Refusal::ServiceUnavailable => Failure::transient(error),
        },
        ConnectionError::MqttState(_)
        | ConnectionError::NetworkTimeout
        | ConnectionError::FlushTimeout
        | ConnectionError::Tls(_)
        | ConnectionError::Io(_)
        | ConnectionError::NotConnAck(_)
        | ConnectionError::RequestsDone => Failure::transient(error),
    }
}

fn subscribed(suback: &SubAck, filters: &[SubscribeFilter]) -> Result<(), Failure> {
    let refused = suback.return_codes.iter().zip(filters).find(|(code, _)| !matches!(code, SubscribeReasonCode::Success(_)));
    refused.map_or(Ok(()), |(_, filter)| Err(Failure::fatal(format!("the broker refuses the subscription to {}", filter.path))))
}
