//! The bridge's configuration; `config.toml` beside `src` documents every key.

mod broker;
mod routes;

use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use serde::Deserialize;
use service::{AdminConfig, Mistake, Secret, ServiceConfig, Shared};
use stream::sink::SinkConfig;
use stream::{KafkaConfig, RegistryConfig};
use telemetry::{LogConfig, TelemetryConfig};

use crate::domain::{Limits, Routes};

pub use broker::Broker;
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
    pub spool: SpoolConfig,
    pub redrive: SinkConfig,
    pub metrics: Vec<MetricConfig>,
    pub routes: Vec<RouteConfig>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttConfig {
    pub url: String,
    pub client_id: String,
    pub username: String,
    pub password: Secret,
    pub password_file: String,
    #[serde(with = "humantime_serde")]
    pub session_expiry: Duration,
    #[serde(with = "humantime_serde")]
    pub keep_alive: Duration,
    pub receive_maximum: u16,
    pub max_packet_size: ByteSize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsConfig {
    pub payload: ByteSize,
    pub readings_per_message: usize,
    #[serde(with = "humantime_serde")]
    pub max_future: Duration,
    pub rejects_per_second: u32,
    pub in_flight_bytes: ByteSize,
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
}

impl Config {
    /// The routes, or all that is wrong with them.
    pub fn routes(&self) -> Result<Routes, Vec<Mistake>> {
        let limits =
            Limits { payload: bytes(self.limits.payload), readings: self.limits.readings_per_message, max_future: self.limits.max_future };
        routes::build(&self.routes, &self.metrics, limits)
    }
}

pub(crate) fn bytes(size: ByteSize) -> usize {
    usize::try_from(size.as_u64()).unwrap_or(usize::MAX)
}

impl ServiceConfig for Config {
    fn shared(&self) -> Shared<'_> {
        Shared { telemetry: &self.telemetry, log: &self.log, admin: &self.admin }
    }

    fn check(&self) -> Vec<Mistake> {
        let (mqtt, limits, spool) = (&self.mqtt, &self.limits, &self.spool);
        let mut mistakes = self.routes().err().unwrap_or_default();
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
        demand(limits.in_flight_bytes >= mqtt.max_packet_size, "limits.in_flight_bytes", "has to be at least mqtt.max_packet_size");
        demand(
            spool.size.as_u64() >= mqtt.max_packet_size.as_u64() * 4,
            "spool.size",
            "has to be at least four times mqtt.max_packet_size",
        );
        demand(!spool.away_after.is_zero(), "spool.away_after", "has to be more than 0");
        if let Err(problem) = mqtt.url.parse::<Broker>() {
            mistakes.push(Mistake::new("mqtt.url", problem.to_string()));
        }
        if let Err(unreadable) = mqtt.password.or_file(&mqtt.password_file) {
            mistakes.push(Mistake::new("mqtt.password_file", unreadable.to_string()));
        }
        mistakes
    }
}

#[cfg(test)]
mod tests;
