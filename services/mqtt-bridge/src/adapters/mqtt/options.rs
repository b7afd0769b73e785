use std::path::Path;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnectProperties, Filter, LastWill, RetainForwardRule};
use rumqttc::v5::{AsyncClient, EventLoop, MqttOptions};
use rumqttc::{TlsConfiguration, Transport};
use stream::Failure;

use crate::config::{Broker, MqttConfig};
use crate::domain::{Route, Shape};

pub(super) const ONLINE: &str = "online";
pub(super) const OFFLINE: &str = "offline";

/// Acknowledgements and subscriptions waiting to be written: one per packet id, and then some.
const REQUESTS: usize = u16::MAX as usize + 1_024;

/// A client for a session that outlives its connections: fixed id, no clean start, an expiry.
pub(super) fn client(config: &MqttConfig, client_id: &str) -> Result<(AsyncClient, EventLoop), Failure> {
    let broker: Broker = config.url.parse().map_err(Failure::fatal)?;
    let mut options = MqttOptions::new(client_id, broker.host, broker.port);
    options.set_clean_start(false).set_keep_alive(config.keep_alive).set_manual_acks(true);
    let mut properties = ConnectProperties::new();
    properties.session_expiry_interval = u32::try_from(config.session_expiry.as_secs()).ok();
    properties.receive_maximum = Some(config.receive_maximum);
    properties.max_packet_size = u32::try_from(config.max_packet_size.as_u64()).ok();
    options.set_connect_properties(properties);
    // The bridge publishes next to nothing; the client would keep room for 65,535 messages under way.
    options.set_outgoing_inflight_upper_limit(16);
    let mut network = options.network_options();
    network.set_tcp_nodelay(true);
    options.set_network_options(network);
    if !config.username.is_empty() {
        let password = config.password.or_file(&config.password_file)?;
        options.set_credentials(&config.username, password.expose());
    }
    if broker.tls {
        options.set_transport(Transport::tls_with_config(tls(config)?));
    }
    if !config.status_topic.is_empty() {
        options.set_last_will(LastWill::new(&config.status_topic, OFFLINE, QoS::AtLeastOnce, true, None));
    }
    Ok(AsyncClient::new(options, REQUESTS))
}

fn tls(config: &MqttConfig) -> Result<TlsConfiguration, Failure> {
    let read = |file: &Path| std::fs::read(file).map_err(|error| Failure::fatal(format!("{}: {error}", file.display())));
    let is_given = |file: &Path| !file.as_os_str().is_empty();
    if !is_given(&config.ca_file) {
        return Ok(TlsConfiguration::default());
    }
    let client_auth =
        if is_given(&config.certificate_file) { Some((read(&config.certificate_file)?, read(&config.key_file)?)) } else { None };
    Ok(TlsConfiguration::Simple { ca: read(&config.ca_file)?, alpn: None, client_auth })
}

/// One subscription a route, at whatever `QoS` the publisher chose.
pub(super) fn subscriptions<'a>(routes: impl Iterator<Item = &'a Route>, shared_group: &str) -> Vec<Filter> {
    routes.map(|route| subscription(route, shared_group)).collect()
}

fn subscription(route: &Route, shared_group: &str) -> Filter {
    if !shared_group.is_empty() {
        // The broker sends what it retained to no shared subscription.
        return Filter::new(format!("$share/{shared_group}/{}", route.filter), QoS::ExactlyOnce);
    }
    let mut filter = Filter::new(route.filter.as_str(), QoS::ExactlyOnce);
    filter.retain_forward_rule = match route.shape {
        // What every device's state is now, on each connection.
        Shape::Status => RetainForwardRule::OnEverySubscribe,
        // Old measurements once, not on each connection.
        Shape::Value { .. } | Shape::Metrics => RetainForwardRule::OnNewSubscribe,
    };
    filter
}
