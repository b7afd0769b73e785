//! The relay's configuration; `config.toml` documents every key.

use std::time::Duration;

use bytesize::ByteSize;
use serde::Deserialize;
use service::{AdminConfig, Mistake, Secret, ServiceConfig, Shared};
use sqlx::postgres::PgConnectOptions;
use stream::KafkaConfig;
use telemetry::{LogConfig, TelemetryConfig};

use crate::domain::{Backoff, SLOTS};

/// The defaults, which are the documentation.
pub const DEFAULTS: &str = include_str!("../config.toml");

#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    pub kafka: KafkaConfig,
    pub telemetry: TelemetryConfig,
    pub log: LogConfig,
    pub admin: AdminConfig,
    pub database: DatabaseConfig,
    pub relay: RelayConfig,
    pub lease: LeaseConfig,
    pub publish: PublishConfig,
    pub retry: RetryConfig,
    pub archive: ArchiveConfig,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    pub url: String,
    pub password: Secret,
    pub password_file: String,
    #[serde(with = "humantime_serde")]
    pub statement_timeout: Duration,
    pub migrate: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayConfig {
    pub lanes: usize,
    pub batch: usize,
    pub batch_bytes: ByteSize,
    #[serde(with = "humantime_serde")]
    pub idle_shortest: Duration,
    #[serde(with = "humantime_serde")]
    pub idle_longest: Duration,
    pub wake: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseConfig {
    #[serde(with = "humantime_serde")]
    pub duration: Duration,
    #[serde(with = "humantime_serde")]
    pub renew_every: Duration,
    #[serde(with = "humantime_serde")]
    pub clock_error: Duration,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishConfig {
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryConfig {
    #[serde(with = "humantime_serde")]
    pub first: Duration,
    #[serde(with = "humantime_serde")]
    pub longest: Duration,
    pub attempts: u32,
    pub block: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchiveConfig {
    pub enabled: bool,
    #[serde(with = "humantime_serde")]
    pub keep: Duration,
}

impl RetryConfig {
    pub fn backoff(&self) -> Backoff {
        Backoff { first: self.first, longest: self.longest }
    }
}

impl ServiceConfig for Config {
    fn shared(&self) -> Shared<'_> {
        Shared { telemetry: &self.telemetry, log: &self.log, admin: &self.admin }
    }

    fn check(&self) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        let mut demand = |fine: bool, key: &str, problem: &str| {
            if !fine {
                mistakes.push(Mistake::new(key, problem));
            }
        };
        demand(self.database.url.parse::<PgConnectOptions>().is_ok(), "database.url", "is not postgres://user@host:port/database");
        demand((1..=SLOTS).contains(&self.relay.lanes), "relay.lanes", "has to be 1 to 64");
        demand((1..=50_000).contains(&self.relay.batch), "relay.batch", "has to be 1 to 50000");
        demand(self.relay.batch_bytes.as_u64() > 0, "relay.batch_bytes", "has to be more than 0");
        demand(!self.relay.idle_shortest.is_zero(), "relay.idle_shortest", "has to be more than 0: an idle relay would never rest");
        demand(self.relay.idle_shortest <= self.relay.idle_longest, "relay.idle_longest", "has to be at least relay.idle_shortest");
        demand(!self.lease.renew_every.is_zero(), "lease.renew_every", "has to be more than 0");
        let trusted = self.lease.duration.saturating_sub(self.lease.renew_every + self.lease.clock_error);
        demand(self.publish.timeout < trusted, "publish.timeout", "has to be less than lease.duration − renew_every − clock_error");
        demand(!self.publish.timeout.is_zero(), "publish.timeout", "has to be more than 0: a record could outlive its lease");
        demand(!self.retry.first.is_zero(), "retry.first", "has to be more than 0: a failure would be tried again without rest");
        demand(self.retry.first <= self.retry.longest, "retry.longest", "has to be at least retry.first");
        demand(self.retry.attempts > 0, "retry.attempts", "has to be 1 or more");
        if let Err(unreadable) = self.database.password.or_file(&self.database.password_file) {
            mistakes.push(Mistake::new("database.password_file", unreadable.to_string()));
        }
        mistakes
    }
}

#[cfg(test)]
mod tests {
    use service::config::{Layers, load};

    use super::*;

    fn load_with(environment: &[(&str, &str)]) -> Result<Config, Vec<String>> {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        load(&Layers { service: "outbox-relay", defaults: DEFAULTS, file: None, environment })
            .map_err(|mistakes| mistakes.into_iter().map(|mistake| mistake.key).collect())
    }

    #[test]
    fn the_defaults_are_fine() {
        let config = load_with(&[]).unwrap();
        assert_eq!((config.relay.batch, config.lease.duration), (2000, Duration::from_millis(2400)));
    }

    #[test]
    fn a_record_must_not_outlive_its_lease() {
        assert_eq!(load_with(&[("OUTBOX_RELAY__PUBLISH__TIMEOUT", "1750ms")]).unwrap_err(), ["publish.timeout"]);
        load_with(&[("OUTBOX_RELAY__PUBLISH__TIMEOUT", "1700ms")]).unwrap();
    }

    #[test]
    fn every_mistake_is_named() {
        let mistakes = load_with(&[
            ("OUTBOX_RELAY__DATABASE__URL", "nowhere"),
            ("OUTBOX_RELAY__DATABASE__PASSWORD_FILE", "/nowhere"),
            ("OUTBOX_RELAY__RELAY__BATCH", "0"),
            ("OUTBOX_RELAY__RETRY__FIRST", "6s"),
        ])
        .unwrap_err();
        assert_eq!(mistakes, ["database.url", "relay.batch", "retry.longest", "database.password_file"]);
    }
}
