//! Configuration; `config.toml` documents every key.

use std::path::Path;

use serde::Deserialize;
use service::{AdminConfig, Mistake, ServiceConfig, Shared};
use stream::operator::OperatorConfig;
use stream::{KafkaConfig, RegistryConfig};
use telemetry::{LogConfig, TelemetryConfig};

use crate::domain::rules::Rules;

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
    /// The rules of the file, or the built-in ones; a problem names the file, line and column.
    pub fn load(&self) -> Result<Rules, String> {
        if self.file.is_empty() {
            return Rules::parse(DEFAULT_RULES).map_err(|problem| problem.to_string());
        }
        let path = Path::new(&self.file);
        let yaml = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Rules::parse(&yaml).map_err(|problem| format!("{}: {problem}", path.display()))
    }
}

const DEFAULT_RULES: &str = include_str!("rules.yaml");
