//! The layered configuration every service has, and where devices are reached.

use std::path::Path;

use serde::Deserialize;
use service::config::{Layers, load};
use service::{AdminConfig, Mistake, Secret, ServiceConfig, Shared};
use stream::{KafkaConfig, RegistryConfig};
use telemetry::{LogConfig, TelemetryConfig};

const DEFAULTS: &str = include_str!("../config.toml");

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) kafka: KafkaConfig,
    pub(crate) registry: RegistryConfig,
    pub(crate) mqtt: MqttConfig,
    telemetry: TelemetryConfig,
    log: LogConfig,
    admin: AdminConfig,
}

/// `[mqtt]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MqttConfig {
    pub(crate) url: String,
    pub(crate) username: String,
    pub(crate) password: Secret,
    pub(crate) password_file: String,
    pub(crate) ca_file: String,
}

impl ServiceConfig for Config {
    fn shared(&self) -> Shared<'_> {
        Shared { telemetry: &self.telemetry, log: &self.log, admin: &self.admin }
    }
}

impl Config {
    pub(crate) fn load(file: Option<&Path>, environment: Vec<(String, String)>) -> Result<Self, Vec<Mistake>> {
        load(&Layers { service: "fieldctl", defaults: DEFAULTS, file, environment })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_complete() {
        let config = Config::load(None, Vec::new()).unwrap();
        assert_eq!(config.mqtt.url, "mqtt://127.0.0.1:1883");
    }

    #[test]
    fn what_all_services_share_may_be_set_for_all_of_them() {
        let variables = [("FIELDWATCH__ADMIN__LISTEN", "0.0.0.0:9100"), ("FIELDCTL__KAFKA__BROKERS", "kafka:9092")];
        let environment = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        assert_eq!(Config::load(None, environment).unwrap().kafka.brokers, "kafka:9092");
    }
}
