//! The bridge's configuration; `config.toml` beside `src` documents every key.

mod broker;
mod commands;
mod routes;

use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use serde::Deserialize;
use service::sealing::{SealingConfig, SealingKeys};
use service::{AdminConfig, Mistake, Secret, ServiceConfig, Shared};
use stream::sink::SinkConfig;
use stream::{KafkaConfig, RegistryConfig};
use telemetry::{LogConfig, TelemetryConfig};

use crate::domain::{DeviceLimits, Limits, Routes};

pub use broker::Broker;
pub use commands::CommandsConfig;
pub use routes::{MetricConfig, RouteConfig};

/// The defaults, which are the documentation.
pub const DEFAULTS: &str = include_str!("../config.toml");

#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    pub kafka: KafkaConfig,
    pub registry: RegistryConfig,
    pub telemetry: TelemetryConfig,
    pub log: LogConfig,
    pub admin: AdminConfig,
    pub mqtt: MqttConfig,
    pub limits: LimitsConfig,
    pub blobs: BlobsConfig,
    pub spool: SpoolConfig,
    pub redrive: SinkConfig,
    pub commands: CommandsConfig,
    pub metrics: Vec<MetricConfig>,
    pub routes: Vec<RouteConfig>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttConfig {
    pub url: String,
    pub version: MqttVersion,
    pub client_id: String,
    pub username: String,
    pub password: Secret,
    pub password_file: String,
    pub ca_file: PathBuf,
    pub certificate_file: PathBuf,
    pub key_file: PathBuf,
    pub shared_group: String,
    pub status_topic: String,
    #[serde(with = "humantime_serde")]
    pub unknown_after: Duration,
    #[serde(with = "humantime_serde")]
    pub session_expiry: Duration,
    #[serde(with = "humantime_serde")]
    pub keep_alive: Duration,
    pub receive_maximum: u16,
    pub max_packet_size: ByteSize,
}

/// Towards the broker; devices speak what they like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum MqttVersion {
    #[serde(rename = "3.1.1")]
    V3,
    #[serde(rename = "5")]
    V5,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsConfig {
    pub payload: ByteSize,
    pub state: ByteSize,
    pub readings_per_message: usize,
    #[serde(with = "humantime_serde")]
    pub max_future: Duration,
    #[serde(with = "humantime_serde")]
    pub late_after: Duration,
    pub rejects_per_second: u32,
    pub new_devices_per_minute: u32,
    pub known_devices: usize,
    #[serde(with = "humantime_serde")]
    pub learn_devices_for: Duration,
    pub in_flight_bytes: ByteSize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobsConfig {
    pub folder: PathBuf,
    pub uri: String,
    #[serde(with = "humantime_serde")]
    pub keep: Duration,
}

impl BlobsConfig {
    pub fn is_on(&self) -> bool {
        !self.folder.as_os_str().is_empty()
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpoolConfig {
    pub folder: PathBuf,
    pub size: ByteSize,
    #[serde(with = "humantime_serde")]
    pub max_age: Duration,
    #[serde(with = "humantime_serde")]
    pub away_after: Duration,
    pub encryption: SealingConfig,
}

impl SpoolConfig {
    pub fn is_on(&self) -> bool {
        !self.folder.as_os_str().is_empty()
    }

    pub fn keys(&self) -> Result<SealingKeys, Mistake> {
        self.encryption.keys("spool.encryption", "spool")
    }
}

impl Config {
    /// The routes, or all that is wrong with them.
    pub fn routes(&self) -> Result<Routes, Vec<Mistake>> {
        let LimitsConfig { payload, state, readings_per_message: readings, max_future, late_after, .. } = self.limits;
        let limits = Limits {
            payload: bytes(payload),
            state: bytes(state.min(payload)),
            keeps_larger: self.blobs.is_on(),
            readings,
            max_future,
            late_after,
        };
        routes::build(&self.routes, &self.metrics, limits)
    }
}

impl LimitsConfig {
    pub fn devices(&self) -> DeviceLimits {
        let Self { new_devices_per_minute: new_per_minute, known_devices: known, learn_devices_for: learn_for, .. } = *self;
        DeviceLimits { new_per_minute, known, learn_for }
    }
}

pub(crate) fn bytes(size: ByteSize) -> usize {
    usize::try_from(size.as_u64()).unwrap_or(usize::MAX)
}

impl ServiceConfig for Config {
    fn shared(&self) -> Shared<'_> {
        Shared { telemetry: &self.telemetry, log: &self.log, admin: &self.admin }
    }

    /// One for each connection: what it takes, gives to Kafka and acknowledges is one line of work, and two threads would
    /// mostly wake each other.
    fn threads(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        self.routes().map_or(1, |routes| routes.connections().len()).clamp(1, cores)
    }

    fn check(&self) -> Vec<Mistake> {
        let (mqtt, limits, spool) = (&self.mqtt, &self.limits, &self.spool);
        let mut mistakes = self.routes().err().unwrap_or_default();
        mistakes.extend(self.commands.topics().err());
        let mut demand = |fine: bool, key: &str, problem: &str| {
            if !fine {
                mistakes.push(Mistake::new(key, problem));
            }
        };
        demand(!mqtt.client_id.is_empty(), "mqtt.client_id", "has to name the session");
        demand(mqtt.keep_alive >= Duration::from_secs(5), "mqtt.keep_alive", "has to be at least 5s");
        demand(u16::try_from(mqtt.keep_alive.as_secs()).is_ok(), "mqtt.keep_alive", "has to be at most 65535s");
        demand(u32::try_from(mqtt.session_expiry.as_secs()).is_ok(), "mqtt.session_expiry", "has to be at most 4294967295s");
        demand(!mqtt.session_expiry.is_zero(), "mqtt.session_expiry", "has to be more than 0: the broker would forget what it holds");
        demand(mqtt.receive_maximum > 0, "mqtt.receive_maximum", "has to be 1 to 65535");
        demand(u32::try_from(mqtt.max_packet_size.as_u64()).is_ok(), "mqtt.max_packet_size", "has to be less than 4 GiB");
        demand(mqtt.max_packet_size > limits.payload, "mqtt.max_packet_size", "has to be more than limits.payload");
        demand(limits.readings_per_message > 0, "limits.readings_per_message", "has to be 1 or more");
        demand(limits.known_devices > 0, "limits.known_devices", "has to be 1 or more");
        demand(limits.in_flight_bytes >= mqtt.max_packet_size, "limits.in_flight_bytes", "has to be at least mqtt.max_packet_size");
        demand(
            spool.size.as_u64() >= mqtt.max_packet_size.as_u64() * 4,
            "spool.size",
            "has to be at least four times mqtt.max_packet_size",
        );
        demand(!spool.away_after.is_zero(), "spool.away_after", "has to be more than 0");
        let pair = mqtt.certificate_file.as_os_str().is_empty() == mqtt.key_file.as_os_str().is_empty();
        demand(pair, "mqtt.key_file", "and mqtt.certificate_file belong together");
        let unchecked = mqtt.ca_file.as_os_str().is_empty() && !mqtt.certificate_file.as_os_str().is_empty();
        demand(!unchecked, "mqtt.ca_file", "is missing: with a certificate of its own the bridge has to know whom to show it");
        let no_level = |text: &str| !text.contains(['/', '+', '#']);
        demand(no_level(&mqtt.shared_group), "mqtt.shared_group", "must not hold `/`, `+` or `#`");
        demand(!mqtt.status_topic.contains(['+', '#']), "mqtt.status_topic", "must not hold `+` or `#`");
        match mqtt.url.parse::<Broker>() {
            Err(problem) => mistakes.push(Mistake::new("mqtt.url", problem.to_string())),
            Ok(broker) => {
                let files = [("ca_file", &mqtt.ca_file), ("certificate_file", &mqtt.certificate_file), ("key_file", &mqtt.key_file)];
                for (key, file) in files.into_iter().filter(|(_, file)| !file.as_os_str().is_empty()) {
                    if !broker.tls {
                        mistakes.push(Mistake::new(format!("mqtt.{key}"), "is for mqtts://"));
                    } else if let Err(error) = std::fs::File::open(file) {
                        mistakes.push(Mistake::new(format!("mqtt.{key}"), format!("{}: {error}", file.display())));
                    }
                }
            }
        }
        mistakes.extend(spool.keys().err());
        if let Err(unreadable) = mqtt.password.or_file(&mqtt.password_file) {
            mistakes.push(Mistake::new("mqtt.password_file", unreadable.to_string()));
        }
        mistakes
    }
}

#[cfg(test)]
mod tests;
