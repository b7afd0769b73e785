//! Publishing over MQTT 5, at least once (`QoS` 1), and hearing what devices are told (`QoS` 2).

mod connection;

use std::time::Duration;

use anyhow::Context as _;
use reqwest::Url;
use rumqttc::Transport;
use rumqttc::v5::MqttOptions;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::LastWill;
use tokio::sync::mpsc::UnboundedSender;

use crate::config::MqttConfig;
use crate::context::wrong_usage;
pub(crate) use connection::{Connection, Message, Outbound};

/// Unacknowledged messages of one connection at most.
const IN_FLIGHT: u16 = 1_000;
/// Seconds a broker keeps a session whose connection broke.
const SESSION_SECONDS: u32 = 60;

/// How to reach a broker.
#[derive(Clone)]
pub(crate) struct Broker {
    options: MqttOptions,
    url: String,
}

/// What a device says of itself, retained: at its birth, after each reconnection, and by its will when it breaks off.
#[derive(Clone, Copy)]
pub(crate) struct Presence<'a> {
    pub(crate) topic: &'a str,
    pub(crate) birth: &'static str,
    pub(crate) will: &'static str,
}

impl Broker {
    /// `url`, where given, instead of the configured one.
    pub(crate) fn new(config: &MqttConfig, url: Option<&str>) -> anyhow::Result<Self> {
        let text = url.unwrap_or(&config.url);
        // Without user and password.
        let shown = text.rsplit('@').next().unwrap_or_default();
        let wrong = |problem: &str| wrong_usage(format!("`{shown}` {problem}: mqtt://HOST:PORT or mqtts://HOST:PORT"));
        let url = Url::parse(text).map_err(|error| wrong(&format!("is no URL ({error})")))?;
        let (default_port, is_secure) = match url.scheme() {
            "mqtt" | "tcp" => (1883, false),
            "mqtts" | "ssl" => (8883, true),
            _ => return Err(wrong("is not MQTT")),
        };
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| wrong("names no host"))?;
        let mut options = MqttOptions::new("fieldctl", host, url.port().unwrap_or(default_port));
        let username = if url.username().is_empty() { config.username.as_str() } else { url.username() };
        if !username.is_empty() {
            let configured = config.password.or_file(&config.password_file)?;
            options.set_credentials(username, url.password().unwrap_or_else(|| configured.expose()));
        }
        if is_secure {
            options.set_transport(transport(&config.ca_file)?);
        }
        let mut network = options.network_options();
        network.set_tcp_nodelay(true);
        options
            .set_network_options(network)
            .set_keep_alive(Duration::from_secs(30))
            .set_clean_start(false)
            .set_session_expiry_interval(Some(SESSION_SECONDS))
            .set_outgoing_inflight_upper_limit(IN_FLIGHT);
        let url = format!("{}://{host}:{}", url.scheme(), options.broker_address().1);
        Ok(Self { options, url })
    }

    /// Connects as `client_id`, which must be nobody else's: the broker would throw the other one out.
    pub(crate) async fn connect(&self, client_id: &str, presence: Option<Presence<'_>>) -> anyhow::Result<Connection> {
        self.connect_and_hear(client_id, presence, None).await
    }

    /// The same; what comes on the topics it subscribes to goes to `inbox`.
    pub(crate) async fn connect_and_hear(
        &self,
        client_id: &str,
        presence: Option<Presence<'_>>,
        inbox: Option<UnboundedSender<Message>>,
    ) -> anyhow::Result<Connection> {
        let mut options = self.options.clone();
        options.set_client_id(client_id.to_owned());
        if let Some(presence) = presence {
            options.set_last_will(LastWill::new(presence.topic, presence.will, QoS::AtLeastOnce, true, None));
        }
        Connection::open(options, presence, inbox).await.with_context(|| format!("{} cannot be reached", self.url))
    }
}

/// An empty `ca_file` means the system's trust store.
fn transport(ca_file: &str) -> anyhow::Result<Transport> {
    if ca_file.is_empty() {
        return Ok(Transport::tls_with_default_config());
    }
    let ca = std::fs::read(ca_file).with_context(|| format!("mqtt.ca_file {ca_file} cannot be read"))?;
    Ok(Transport::tls(ca, None, None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn broker(url: &str) -> anyhow::Result<Broker> {
        Broker::new(&Config::load(None, Vec::new()).unwrap().mqtt, Some(url))
    }

    #[test]
    fn a_url_says_host_port_and_login() {
        let secure = broker("mqtts://me:secret@mqtt.example.com").unwrap();
        assert_eq!(secure.options.broker_address(), ("mqtt.example.com".to_owned(), 8883));
        assert_eq!(secure.options.credentials().unwrap().username, "me");
        assert!(!secure.url.contains("secret"));
    }

    #[test]
    fn what_is_no_mqtt_url_is_named() {
        for url in ["http://localhost", "localhost:1883", "mqtt://"] {
            assert!(broker(url).is_err_and(|error| error.to_string().contains(url)), "{url}");
        }
    }
}
