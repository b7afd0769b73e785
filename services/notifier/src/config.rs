//! The notifier's configuration; `config.toml` documents every key.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use ipnet::IpNet;
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use service::config::Layers;
use service::sealing::SealingConfig;
use service::{AdminConfig, Mistake, Secret, ServiceConfig, Shared};
use stream::sink::SinkConfig;
use stream::{KafkaConfig, RegistryConfig};
use telemetry::{LogConfig, TelemetryConfig};

/// Commented defaults of the notifier's own sections.
pub const DEFAULTS: &str = include_str!("../config.toml");

/// A stop waits for the attempts under way, and the service has to end within its grace period.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(20);

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub kafka: KafkaConfig,
    pub registry: RegistryConfig,
    pub telemetry: TelemetryConfig,
    pub log: LogConfig,
    pub admin: AdminConfig,
    pub api: ApiConfig,
    pub sse: SseConfig,
    pub database: DatabaseConfig,
    pub sink: SinkConfig,
    pub devices: DevicesConfig,
    pub history: HistoryConfig,
    pub commands: CommandsConfig,
    pub delivery: DeliveryConfig,
    pub secrets: SealingConfig,
    pub smtp: SmtpConfig,
    pub oidc: OidcConfig,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiConfig {
    pub listen: SocketAddr,
    pub certificate_file: String,
    pub key_file: String,
    #[serde(with = "humantime_serde")]
    pub certificate_check: Duration,
    pub bootstrap_key_file: String,
    pub signing_secret_file: String,
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    pub max_body: ByteSize,
    pub requests_per_second: u32,
    pub burst: u32,
    pub allowed_origins: Vec<String>,
    pub trace_url: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SseConfig {
    #[serde(with = "humantime_serde")]
    pub keep_alive: Duration,
    pub recent: usize,
    pub client_backlog: usize,
    pub catch_ups: usize,
    #[serde(with = "humantime_serde")]
    pub ticket_life: Duration,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DevicesConfig {
    pub most: usize,
    pub metrics: usize,
    pub values: usize,
    pub readings_back: u32,
    #[serde(with = "humantime_serde")]
    pub look_again: Duration,
    #[serde(with = "humantime_serde")]
    pub keep: Duration,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandsConfig {
    #[serde(with = "humantime_serde")]
    pub keep: Duration,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryConfig {
    #[serde(with = "humantime_serde")]
    pub keep: Duration,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    pub url: Secret,
    pub password: Secret,
    pub password_file: String,
    pub max_connections: u32,
    #[serde(with = "humantime_serde")]
    pub acquire_timeout: Duration,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliveryConfig {
    pub per_minute: u32,
    #[serde(with = "humantime_serde")]
    pub heartbeat: Duration,
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    #[serde(with = "humantime_serde")]
    pub first_retry: Duration,
    #[serde(with = "humantime_serde")]
    pub longest_retry: Duration,
    #[serde(with = "humantime_serde")]
    pub give_up_after: Duration,
    pub endpoints: usize,
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
    pub allowed_networks: Vec<IpNet>,
    #[serde(with = "humantime_serde")]
    pub secret_overlap: Duration,
    #[serde(with = "humantime_serde")]
    pub keep: Duration,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmtpConfig {
    pub host: String,
    pub port: u16,
    pub tls: SmtpTls,
    pub ca_file: String,
    pub user: String,
    pub password: Secret,
    pub password_file: String,
    pub from: String,
}

/// How the connection to the mail server is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SmtpTls {
    None,
    /// After the greeting; a server that does not offer it gets nothing.
    Starttls,
    /// From the first byte.
    Implicit,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcConfig {
    pub issuer: String,
    pub audience: String,
    pub jwks_url: String,
    pub algorithms: Vec<Algorithm>,
    #[serde(with = "humantime_serde")]
    pub leeway: Duration,
    #[serde(with = "humantime_serde")]
    pub refetch: Duration,
    #[serde(with = "humantime_serde")]
    pub keep_keys: Duration,
    pub name_claim: String,
    pub tenant_claim: String,
    pub scope_claim: String,
    pub read: Vec<String>,
    pub write: Vec<String>,
    pub admin: Vec<String>,
}

impl OidcConfig {
    fn mistakes(&self) -> Vec<Mistake> {
        let is_url = |text: &str| text.starts_with("https://") || text.starts_with("http://");
        let named = !self.issuer.is_empty();
        // With a shared secret the issuer's published key would be one.
        let shared = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
        let checks = [
            (named && !is_url(&self.issuer), "oidc.issuer", "is not like https://login.example.com"),
            (named && self.audience.is_empty(), "oidc.audience", "is empty: a token for anyone would be accepted"),
            (!self.jwks_url.is_empty() && !is_url(&self.jwks_url), "oidc.jwks_url", "is not like https://login.example.com/keys"),
            (self.algorithms.is_empty(), "oidc.algorithms", "are none"),
            (self.algorithms.iter().any(|is| shared.contains(is)), "oidc.algorithms", "are not all of public keys, like RS256 and ES256"),
        ];
        checks.into_iter().filter(|(wrong, ..)| *wrong).map(|(_, key, problem)| Mistake::new(key, problem)).collect()
    }
}

impl SmtpConfig {
    fn mistakes(&self) -> Vec<Mistake> {
        let checks = [
            (
                !self.host.is_empty() && self.from.parse::<lettre::message::Mailbox>().is_err(),
                "smtp.from",
                "is not like Fieldwatch <alerts@example.com>",
            ),
            (self.tls == SmtpTls::None && !self.user.is_empty(), "smtp.tls", "`none` would send the password in the clear"),
        ];
        checks.into_iter().filter(|(wrong, ..)| *wrong).map(|(_, key, problem)| Mistake::new(key, problem)).collect()
    }
}

#[cfg(test)]
impl DeliveryConfig {
    pub(crate) fn example() -> Self {
        Config::from_environment(Vec::new()).unwrap().delivery
    }
}

impl Config {
    /// The defaults under the given environment variables, as `main` would read them.
    pub fn from_environment(environment: Vec<(String, String)>) -> Result<Self, Vec<Mistake>> {
        service::config::load(&Layers { service: crate::NAME, defaults: DEFAULTS, file: None, environment })
    }
}

impl ApiConfig {
    /// File with the first key, if one is named.
    #[expect(clippy::disallowed_methods, reason = "one variable that the suite's tools share, with a name of its own")]
    pub fn bootstrap_key_file(&self) -> Option<PathBuf> {
        let named = |file: &String| !file.is_empty();
        Some(self.bootstrap_key_file.clone())
            .filter(named)
            .or_else(|| std::env::var("BOOTSTRAP_KEY_FILE").ok().filter(named))
            .map(PathBuf::from)
    }
}

impl ServiceConfig for Config {
    fn shared(&self) -> Shared<'_> {
        Shared { telemetry: &self.telemetry, log: &self.log, admin: &self.admin }
    }

    fn check(&self) -> Vec<Mistake> {
        let at_least_one = [
            ("api.requests_per_second", self.api.requests_per_second as usize),
            ("api.burst", self.api.burst as usize),
            ("sse.client_backlog", self.sse.client_backlog),
            ("sse.catch_ups", self.sse.catch_ups),
            ("database.max_connections", self.database.max_connections as usize),
            ("sink.max_batch", self.sink.max_batch),
            ("devices.most", self.devices.most),
            ("devices.metrics", self.devices.metrics),
            ("devices.values", self.devices.values),
            ("delivery.per_minute", self.delivery.per_minute as usize),
            ("delivery.endpoints", self.delivery.endpoints),
        ];
        let mut mistakes: Vec<Mistake> =
            at_least_one.into_iter().filter(|(_, value)| *value == 0).map(|(key, _)| Mistake::new(key, "must be at least 1")).collect();
        if !self.database.url.expose().starts_with("postgres://") && !self.database.url.expose().starts_with("postgresql://") {
            mistakes.push(Mistake::new("database.url", "is not postgres://USER@HOST:PORT/DATABASE"));
        }
        if self.api.certificate_file.is_empty() != self.api.key_file.is_empty() {
            mistakes.push(Mistake::new("api.key_file", "and api.certificate_file: one is set without the other"));
        }
        if self.api.certificate_check.is_zero() {
            mistakes.push(Mistake::new("api.certificate_check", "must be longer than zero"));
        }
        let is_origin = |origin: &String| origin == "*" || origin.starts_with("https://") || origin.starts_with("http://");
        if let Some(wrong) = self.api.allowed_origins.iter().find(|origin| !is_origin(origin)) {
            mistakes.push(Mistake::new("api.allowed_origins", format!("`{wrong}` is not like https://dashboard.example.com")));
        }
        let is_template = |url: &str| url.starts_with("http") && url.contains("{trace_id}");
        if !self.api.trace_url.is_empty() && !is_template(&self.api.trace_url) {
            mistakes.push(Mistake::new("api.trace_url", "is not like https://jaeger.example.com/trace/{trace_id}"));
        }
        if self.delivery.timeout.is_zero() || self.delivery.timeout > LONGEST_ATTEMPT {
            mistakes.push(Mistake::new("delivery.timeout", format!("is not up to {LONGEST_ATTEMPT:?}, what a stop waits for")));
        }
        if self.delivery.lease < self.delivery.timeout * 2 {
            mistakes.push(Mistake::new("delivery.lease", "is shorter than two times delivery.timeout"));
        }
        if self.delivery.first_retry.is_zero() || self.delivery.longest_retry < self.delivery.first_retry {
            mistakes.push(Mistake::new("delivery.longest_retry", "is shorter than delivery.first_retry"));
        }
        if self.devices.look_again.is_zero() {
            mistakes.push(Mistake::new("devices.look_again", "must be longer than zero"));
        }
        mistakes.extend(self.smtp.mistakes());
        mistakes.extend(self.oidc.mistakes());
        if self.sse.keep_alive.is_zero() {
            mistakes.push(Mistake::new("sse.keep_alive", "must be longer than zero"));
        }
        mistakes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Config, Vec<String>> {
        let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Config::from_environment(environment).map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_defaults_are_a_configuration() {
        let config = read(&[]).unwrap();
        assert_eq!(config.api.listen.port(), 8080);
        assert_eq!(config.api.max_body, ByteSize::kib(64));
        assert_eq!(config.sse.ticket_life, Duration::from_mins(10));
    }

    #[test]
    fn relations_are_checked_and_all_mistakes_named() {
        let wrong =
            [("NOTIFIER__SINK__MAX_BATCH", "0"), ("NOTIFIER__DATABASE__URL", "mysql://x"), ("NOTIFIER__API__TRACE_URL", "http://traces")];
        let named = [
            "sink.max_batch: must be at least 1",
            "database.url: is not postgres://USER@HOST:PORT/DATABASE",
            "api.trace_url: is not like https://jaeger.example.com/trace/{trace_id}",
        ];
        assert_eq!(read(&wrong).unwrap_err(), named);
    }

    #[test]
    fn a_mail_server_needs_a_sender_and_gets_no_password_in_the_clear() {
        let mistakes = read(&[("NOTIFIER__SMTP__HOST", "mail"), ("NOTIFIER__SMTP__TLS", "none"), ("NOTIFIER__SMTP__USER", "x")]);
        assert_eq!(
            mistakes.unwrap_err(),
            ["smtp.from: is not like Fieldwatch <alerts@example.com>", "smtp.tls: `none` would send the password in the clear"]
        );
    }

    #[test]
    fn tokens_for_anyone_or_signed_with_a_shared_secret_cannot_be_configured() {
        let mistakes = read(&[("NOTIFIER__OIDC__ISSUER", "https://login.example.com"), ("NOTIFIER__OIDC__ALGORITHMS", "[\"HS256\"]")]);
        assert_eq!(
            mistakes.unwrap_err(),
            [
                "oidc.audience: is empty: a token for anyone would be accepted",
                "oidc.algorithms: are not all of public keys, like RS256 and ES256"
            ]
        );
    }

    #[test]
    fn a_password_in_the_url_is_not_printed() {
        let config = read(&[("NOTIFIER__DATABASE__URL", "postgres://user:geheim@db/x")]).unwrap();
        assert!(!format!("{config:?}").contains("geheim"));
    }
}
