//! What both protocol versions make of the configuration.

use std::path::Path;

use rumqttc::TlsConfiguration;
use stream::Failure;

use crate::config::MqttConfig;
use crate::domain::Route;

pub(super) const ONLINE: &str = "online";
pub(super) const OFFLINE: &str = "offline";

/// Acknowledgements and subscriptions waiting to be written: one per packet id, and then some.
pub(super) const REQUESTS: usize = u16::MAX as usize + 1_024;
/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Takes messages, over a session that outlives its connections.
    Take,
    /// Gives commands: what the broker did not confirm is published again by whoever waits for that, so no session is kept.
    Give,
}

impl Purpose {
    /// Publishes under way at a time. A bridge that takes publishes next to nothing; the client would keep room for many more.
    pub(super) fn publishes(self) -> u16 {
        match self {
            Self::Take => 16,
            Self::Give => 128,
        }
    }
}

pub(super) fn tls(config: &MqttConfig) -> Result<TlsConfiguration, Failure> {
    let read = |file: &Path| std::fs::read(file).map_err(|error| Failure::fatal(format!("{}: {error}", file.display())));
    let is_given = |file: &Path| !file.as_os_str().is_empty();
    if !is_given(&config.ca_file) {
        return Ok(TlsConfiguration::default());
    }
    let client_auth =
        if is_given(&config.certificate_file) { Some((read(&config.certificate_file)?, read(&config.key_file)?)) } else { None };
    Ok(TlsConfiguration::Simple { ca: read(&config.ca_file)?, alpn: None, client_auth })
}

/// What a route subscribes to.
pub(super) fn path(route: &Route, shared_group: &str) -> String {
    // The broker sends what it retained to no shared subscription.
    if shared_group.is_empty() { route.filter.to_string() } else { format!("$share/{shared_group}/{}", route.filter) }
}
