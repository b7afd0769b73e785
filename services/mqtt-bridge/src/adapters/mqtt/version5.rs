//! MQTT 5.

use std::time::SystemTime;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnectProperties, ConnectReturnCode as Refusal, DisconnectReasonCode as Reason, Filter, LastWill, Packet, PubRec, PubRecReason,
    Publish, PublishProperties, RetainForwardRule, SubAck, SubscribeReasonCode,
};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, MqttState, StateError};
use rumqttc::{Outgoing, Transport};
use stream::Failure;

use crate::adapters::message::MqttMessage;
use crate::adapters::mqtt::client::{Connection, Incoming, Published, Received, Requests};
use crate::adapters::mqtt::options::{self, OFFLINE, Purpose, REQUESTS};
use crate::adapters::mqtt::release::Release;
use crate::config::{Broker, MqttConfig};
use crate::domain::{Route, Shape};

pub struct Requests5 {
    client: AsyncClient,
    filters: Vec<Filter>,
}

pub struct Connection5 {
    events: EventLoop,
    filters: Vec<Filter>,
}

/// A client; to take, for a session that outlives its connections: fixed id, no clean start, an expiry.
pub(super) fn client<'a>(
    config: &MqttConfig,
    client_id: &str,
    purpose: Purpose,
    routes: impl Iterator<Item = &'a Route>,
) -> Result<(Requests5, Connection5), Failure> {
    let broker: Broker = config.url.parse().map_err(Failure::fatal)?;
    let mut options = MqttOptions::new(client_id, broker.host, broker.port);
    options.set_clean_start(purpose == Purpose::Give).set_keep_alive(config.keep_alive).set_manual_acks(true);
    let mut properties = ConnectProperties::new();
    if purpose == Purpose::Take {
        properties.session_expiry_interval = u32::try_from(config.session_expiry.as_secs()).ok();
    }
    properties.receive_maximum = Some(config.receive_maximum);
    properties.max_packet_size = u32::try_from(config.max_packet_size.as_u64()).ok();
    options.set_connect_properties(properties);
    options.set_outgoing_inflight_upper_limit(purpose.publishes());
    let mut network = options.network_options();
    network.set_tcp_nodelay(true);
    options.set_network_options(network);
    if !config.username.is_empty() {
        let password = config.password.or_file(&config.password_file)?;
        options.set_credentials(&config.username, password.expose());
    }
    if broker.tls {
        options.set_transport(Transport::tls_with_config(options::tls(config)?));
    }
    if !config.status_topic.is_empty() {
        options.set_last_will(LastWill::new(&config.status_topic, OFFLINE, QoS::AtLeastOnce, true, None));
    }
    let (client, mut events) = AsyncClient::new(options, REQUESTS);
    expect_any_pubrel(&mut events.state);
    let filters: Vec<Filter> = routes.map(|route| filter(route, &config.shared_group)).collect();
    Ok((Requests5 { client, filters: filters.clone() }, Connection5 { events, filters }))
}

/// At whatever `QoS` the publisher chose.
fn filter(route: &Route, shared_group: &str) -> Filter {
    let mut filter = Filter::new(options::path(route, shared_group), QoS::ExactlyOnce);
    if shared_group.is_empty() {
        filter.retain_forward_rule = match route.shape {
            // How every device is now, on each connection.
            Shape::Status | Shape::State => RetainForwardRule::OnEverySubscribe,
            // Old measurements once, not on each connection.
            Shape::Value { .. } | Shape::Metrics => RetainForwardRule::OnNewSubscribe,
        };
    }
    filter
}

impl Connection for Connection5 {
    type Requests = Requests5;

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

impl Connection5 {
    fn incoming(&self, event: Event) -> Incoming {
        match event {
            Event::Incoming(Packet::Publish(publish)) => Incoming::Message(received(publish)),
            Event::Incoming(Packet::ConnAck(connack)) => Incoming::Connected { session_present: connack.session_present },
            Event::Incoming(Packet::SubAck(suback)) => Incoming::Subscribed(subscribed(&suback, &self.filters)),
            Event::Outgoing(Outgoing::Publish(packet_id)) => Incoming::Sent(packet_id),
            Event::Outgoing(Outgoing::Disconnect) => Incoming::Left,
            Event::Incoming(Packet::PubComp(answer)) => Incoming::Completed(answer.pkid),
            Event::Incoming(Packet::PubRec(answer)) => recorded(&answer),
            _ => Incoming::Other,
        }
    }
}

impl Requests for Requests5 {
    fn acknowledge(&self, release: &Release) -> bool {
        let qos = if release.qos == 1 { QoS::AtLeastOnce } else { QoS::ExactlyOnce };
        self.client.try_ack(&Publish { qos, pkid: release.packet_id, ..Publish::default() }).is_ok()
    }

    fn subscribe(&self) -> Result<(), Failure> {
        self.client.try_subscribe_many(self.filters.clone()).map_err(Failure::fatal)
    }

    fn publish(&self, topic: &str, payload: &str) -> Result<(), Failure> {
        self.client.try_publish(topic, QoS::AtLeastOnce, true, payload.to_owned()).map_err(Failure::transient)
    }

    fn command(&self, command: Published) -> Result<(), Failure> {
        // Whole seconds, and never none: the payload says exactly until when.
        let seconds = command.expires_in.as_millis().div_ceil(1_000).max(1);
        let properties = PublishProperties {
            message_expiry_interval: u32::try_from(seconds).ok(),
            user_properties: command.user_properties,
            content_type: Some("application/json".into()),
            ..PublishProperties::default()
        };
        let published = self.client.try_publish_with_properties(command.topic, QoS::ExactlyOnce, false, command.payload, properties);
        published.map_err(Failure::transient)
    }

    fn disconnect(&self) -> Result<(), Failure> {
        self.client.try_disconnect().map_err(Failure::transient)
    }
}

/// The first answer to a publish at `QoS` 2: nearly always the way to the second.
fn recorded(answer: &PubRec) -> Incoming {
    let for_good = match answer.reason {
        PubRecReason::Success | PubRecReason::NoMatchingSubscribers => return Incoming::Other,
        PubRecReason::NotAuthorized | PubRecReason::TopicNameInvalid | PubRecReason::PayloadFormatInvalid => true,
        _ => false,
    };
    Incoming::Refused { packet_id: answer.pkid, for_good, problem: format!("the broker refuses it: {:?}", answer.reason) }
}

fn received(publish: Publish) -> Received {
    let properties = publish.properties.unwrap_or_default();
    let message = MqttMessage {
        topic: String::from_utf8_lossy(&publish.topic).into_owned(),
        payload: publish.payload,
        qos: publish.qos as u8,
        retained: publish.retain,
        user_properties: properties.user_properties,
        content_type: properties.content_type,
        received_at: SystemTime::now().into(),
    };
    Received { message, packet_id: publish.pkid }
}

/// Makes the client answer any PUBREL with PUBCOMP. It forgets with each connection which messages it sent a PUBREC for,
/// takes the broker's PUBREL for an error, closes the connection, and gets the same PUBREL again. A PUBREC is sent only
/// for what is in Kafka or on disk, so a PUBREL of whatever message may be answered.
fn expect_any_pubrel(state: &mut MqttState) {
    let mut publish = Publish { qos: QoS::ExactlyOnce, topic: "-".into(), ..Publish::default() };
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
        ConnectionError::ConnectionRefused(refusal) => refused(*refusal, error),
        ConnectionError::MqttState(StateError::ConnFail { reason }) => refused(*reason, error),
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, .. }) => match reason_code {
            Reason::NotAuthorized => Failure::fatal(error),
            Reason::SessionTakenOver => Failure::transient("another client uses our client_id"),
            _ => Failure::transient(error),
        },
        ConnectionError::MqttState(_)
        | ConnectionError::Timeout(_)
        | ConnectionError::Tls(_)
        | ConnectionError::Io(_)
        | ConnectionError::NotConnAck(_)
        | ConnectionError::RequestsDone => Failure::transient(error),
    }
}

fn refused(refusal: Refusal, error: &ConnectionError) -> Failure {
    match refusal {
        Refusal::RefusedProtocolVersion
        | Refusal::UnsupportedProtocolVersion
        | Refusal::BadClientId
        | Refusal::ClientIdentifierNotValid
        | Refusal::BadUserNamePassword
        | Refusal::NotAuthorized
        | Refusal::Banned
        | Refusal::BadAuthenticationMethod => Failure::fatal(error),
        _ => Failure::transient(error),
    }
}

fn subscribed(suback: &SubAck, filters: &[Filter]) -> Result<(), Failure> {
    let refused = suback.return_codes.iter().zip(filters).find(|(code, _)| !matches!(code, SubscribeReasonCode::Success(_)));
    match refused {
        Some((SubscribeReasonCode::QuotaExceeded | SubscribeReasonCode::PkidInUse, filter)) => {
            Err(Failure::transient(format!("the broker puts off the subscription to {}", filter.path)))
        }
        Some((code, filter)) => Err(Failure::fatal(format!("the broker refuses the subscription to {}: {code:?}", filter.path))),
        None => Ok(()),
    }
}
