//! Configuration; `config.toml` documents every key.

use serde::Deserialize;
use service::{AdminConfig, ServiceConfig, Shared};
use stream::sink::SinkConfig;
use stream::{KafkaConfig, RegistryConfig};
use telemetry::{LogConfig, TelemetryConfig};

pub const DEFAULTS: &str = include_str!("../config.toml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub kafka: KafkaConfig,
    pub registry: RegistryConfig,
    pub telemetry: TelemetryConfig,
    pub log: LogConfig,
    pub admin: AdminConfig,
    pub sink: SinkConfig,
}

impl ServiceConfig for Config {
    fn shared(&self) -> Shared<'_> {
        Shared { telemetry: &self.telemetry, log: &self.log, admin: &self.admin }
    }
}
