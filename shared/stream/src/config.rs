//! `[kafka]` and `[registry]` of every service's configuration; their documentation is in the shared defaults.

use std::time::Duration;

use rdkafka::ClientConfig;
use serde::Deserialize;
use service::{Secret, SecretUnreadable};

const HEARTBEAT: Duration = Duration::from_millis(500);

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaConfig {
    pub brokers: String,
    pub topic_prefix: String,
    pub security_protocol: String,
    pub sasl_mechanism: String,
    pub username: String,
    pub password: Secret,
    pub password_file: String,
    pub ca_file: String,
    pub certificate_file: String,
    pub key_file: String,
    pub group_protocol: GroupProtocol,
    #[serde(with = "humantime_serde")]
    pub session_timeout: Duration,
}

/// How a group agrees on who reads what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupProtocol {
    /// Cooperative-sticky, members decide.
    Classic,
    /// KIP-848, the broker decides.
    Consumer,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryConfig {
    pub url: String,
    pub username: String,
    pub password: Secret,
    pub password_file: String,
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
}

/// Kafka lets so much gather before it answers a fetch.
const GATHERED: &str = "65536";

/// Lets records gather for so long at the broker, where they may: a fetch for every record costs the broker, and its consumer,
/// several times what the record does.
pub(crate) fn gather(config: &mut ClientConfig, gathering: Duration) {
    if !gathering.is_zero() {
        config.set("fetch.min.bytes", GATHERED).set("fetch.wait.max.ms", gathering.as_millis().to_string());
    }
}

impl KafkaConfig {
    /// Name of a topic, group or transactional id in this suite's part of the cluster.
    pub fn prefixed(&self, name: &str) -> String {
        format!("{}{name}", self.topic_prefix)
    }

    pub fn client(&self, client_id: &str) -> Result<ClientConfig, SecretUnreadable> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", client_id)
            .set("security.protocol", &self.security_protocol)
            // A broker that went away for seconds must not cost many more to come back to.
            .set("reconnect.backoff.max.ms", "2000")
            .set("socket.keepalive.enable", "true");
        let password = self.password.or_file(&self.password_file)?;
        let optional = [
            ("sasl.mechanism", self.sasl_mechanism.as_str()),
            ("sasl.username", &self.username),
            ("sasl.password", password.expose()),
            ("ssl.ca.location", &self.ca_file),
            ("ssl.certificate.location", &self.certificate_file),
            ("ssl.key.location", &self.key_file),
        ];
        for (key, value) in optional.into_iter().filter(|(_, value)| !value.is_empty()) {
            config.set(key, value);
        }
        Ok(config)
    }

    /// A consumer that reads what is committed and commits by hand.
    pub fn consumer(&self, client_id: &str) -> Result<ClientConfig, SecretUnreadable> {
        let mut config = self.client(client_id)?;
        config
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("isolation.level", "read_committed")
            // With the default of 1 s a full local queue stalls fetching (230k records a second instead of 2M).
            .set("fetch.queue.backoff.ms", "2")
            .set("queued.min.messages", "100000")
            .set("queued.max.messages.kbytes", "65536")
            .set("fetch.wait.max.ms", "100");
        Ok(config)
    }

    /// A consumer that is a member of `group`; see [`gather`].
    pub(crate) fn member(&self, client_id: &str, group: &str, gathering: Duration) -> Result<ClientConfig, SecretUnreadable> {
        let mut config = self.consumer(client_id)?;
        gather(&mut config, gathering);
        config.set("group.id", self.prefixed(group));
        match self.group_protocol {
            GroupProtocol::Classic => {
                let session = self.session_timeout.as_millis();
                config
                    .set("partition.assignment.strategy", "cooperative-sticky")
                    .set("session.timeout.ms", session.to_string())
                    // How soon a member hears of a rebalance.
                    .set("heartbeat.interval.ms", HEARTBEAT.as_millis().min(session / 3).to_string());
            }
            GroupProtocol::Consumer => {
                config.set("group.protocol", "consumer");
            }
        }
        Ok(config)
    }
}

#[cfg(test)]
impl KafkaConfig {
    /// A cluster without users, which need not be there.
    pub(crate) fn plain(brokers: &str) -> Self {
        let config = serde_json::json!({
            "brokers": brokers, "topic_prefix": "", "security_protocol": "plaintext", "sasl_mechanism": "", "username": "",
            "password": "", "password_file": "", "ca_file": "", "certificate_file": "", "key_file": "", "group_protocol": "classic",
            "session_timeout": "10s",
        });
        serde_json::from_value(config).unwrap()
    }
}
