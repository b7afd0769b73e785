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
/// The bridge publishes next to nothing; the client would keep room for many more messages under way.
pub(super) const PUBLISHES: u16 = 16;

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
