//! Configuration; `config.toml` documents every key.

use std::path::Path;

use serde::Deserialize;
use service::{AdminConfig, Mistake, ServiceConfig, Shared};
use stream::operator::OperatorConfig;
use stream::{KafkaConfig, RegistryConfig};
use telemetry::{LogConfig, TelemetryConfig};

use crate::domain::Rules;
use crate::language;

pub const DEFAULTS: &str = include_str!("../config.toml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub kafka: KafkaConfig,
    pub registry: RegistryConfig,
    pub telemetry: TelemetryConfig,
    pub log: LogConfig,
    pub admin: AdminConfig,
    pub rules: RulesConfig,
    pub operator: OperatorConfig,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulesConfig {
    pub file: String,
}

impl ServiceConfig for Config {
    fn shared(&self) -> Shared<'_> {
        Shared { telemetry: &self.telemetry, log: &self.log, admin: &self.admin }
    }

    fn check(&self) -> Vec<Mistake> {
        self.rules.load().err().map(|problem| Mistake::new("rules.file", problem)).into_iter().collect()
    }
}

impl RulesConfig {
    /// The rules of the file, or the built-in ones; a problem names the file and the place of each mistake.
    pub fn load(&self) -> Result<Rules, String> {
        if self.file.is_empty() {
            return language::parse(DEFAULT_RULES).map_err(|refused| refused.to_string());
        }
        language::load(Path::new(&self.file))
    }
}

const DEFAULT_RULES: &str = include_str!("rules.yaml");
