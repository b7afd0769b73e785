//! Configuration; `config.toml` documents every key.

use std::time::Duration;

use serde::Deserialize;
use service::{AdminConfig, Mistake, ServiceConfig, Shared};
use stream::operator::OperatorConfig;
use stream::{KafkaConfig, RegistryConfig};
use telemetry::{LogConfig, TelemetryConfig};

use crate::domain::Limits;

pub const DEFAULTS: &str = include_str!("../config.toml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub kafka: KafkaConfig,
    pub registry: RegistryConfig,
    pub telemetry: TelemetryConfig,
    pub log: LogConfig,
    pub admin: AdminConfig,
    pub commands: CommandsConfig,
    pub retry: RetryConfig,
    pub breaker: BreakerConfig,
    pub operator: OperatorConfig,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandsConfig {
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    pub queue: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryConfig {
    #[serde(with = "humantime_serde")]
    pub first: Duration,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakerConfig {
    pub failures: u32,
    #[serde(with = "humantime_serde")]
    pub open: Duration,
}

impl Config {
    pub fn limits(&self) -> Limits {
        let (Self { commands, retry, breaker, .. }, usual) = (self, Limits::default());
        Limits {
            timeout: commands.timeout,
            queue: commands.queue,
            first_retry: retry.first,
            failures: breaker.failures,
            open: breaker.open,
            ..usual
        }
    }
}

impl ServiceConfig for Config {
    fn shared(&self) -> Shared<'_> {
        Shared { telemetry: &self.telemetry, log: &self.log, admin: &self.admin }
    }

    fn check(&self) -> Vec<Mistake> {
        let positive = [
            ("commands.timeout", !self.commands.timeout.is_zero()),
            ("retry.first", !self.retry.first.is_zero()),
            ("breaker.failures", self.breaker.failures > 0),
            ("breaker.open", !self.breaker.open.is_zero()),
        ];
        positive.into_iter().filter(|(_, fine)| !fine).map(|(key, _)| Mistake::new(key, "has to be more than 0")).collect()
    }
}
