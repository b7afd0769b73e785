//! Where deliveries may go: public addresses, and those the configuration allows (a guard against server-side request
//! forgery). What counts is the address a name resolves to at the moment of connecting, not the name.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Url};

use crate::config::DeliveryConfig;

/// Addresses of no public host (IANA special-purpose registries), and those that lead to such by translation.
const SPECIAL: [&str; 29] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/96",
    "::ffff:0:0:0/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
];
static SPECIAL_NETWORKS: LazyLock<Vec<IpNet>> = LazyLock::new(|| SPECIAL.iter().filter_map(|text| text.parse().ok()).collect());

/// Which addresses may be connected to.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    allowed: Vec<IpNet>,
    /// Public ones too.
    public: bool,
}

/// Why a URL is not posted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("is not an http or https URL with a host")]
    NoUrl,
    #[error("holds a user name or a password")]
    Credentials,
    #[error("leads to an address that is not allowed")]
    Address,
}

impl Guard {
    fn permits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let within = |networks: &[IpNet]| networks.iter().any(|network| network.contains(&address));
        within(&self.allowed) || (self.public && !within(&SPECIAL_NETWORKS))
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let permitted: Vec<SocketAddr> = found.into_iter().filter(|address| guard.permits(address.ip())).collect();
            if permitted.is_empty() {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, Refused::Address).into());
            }
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}

/// Posts to URLs that the guard permits. Over plain http only to networks that are allowed by name.
#[derive(Clone)]
pub struct Clients {
    https: (Client, Guard),
    http: (Client, Guard),
}

impl Clients {
    pub fn new(config: &DeliveryConfig) -> reqwest::Result<Self> {
        let client = |public| {
            let guard = Guard { allowed: config.allowed_networks.clone(), public };
            let client = Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .timeout(config.timeout)
                .connect_timeout(config.timeout)
                .pool_max_idle_per_host(4)
                .user_agent(concat!("fieldwatch-notifier/", env!("CARGO_PKG_VERSION")))
                .dns_resolver(Arc::new(guard.clone()))
                .build()?;
            Ok::<_, reqwest::Error>((client, guard))
        };
        Ok(Self { https: client(true)?, http: client(false)? })
    }

    /// The client for a URL. An address in its place of a name is looked at here: nothing resolves it.
    pub fn of(&self, url: &str) -> Result<(&Client, Url), Refused> {
        let url = Url::parse(url).map_err(|_| Refused::NoUrl)?;
        let (client, guard) = match url.scheme() {
            "https" => &self.https,
            "http" => &self.http,
            _ => return Err(Refused::NoUrl),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::Credentials);
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(Refused::NoUrl)?;
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        if literal.is_some_and(|address| !guard.permits(address)) {
            return Err(Refused::Address);
        }
        Ok((client, url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients(allowed: &[&str]) -> Clients {
        let config =
            DeliveryConfig { allowed_networks: allowed.iter().map(|text| text.parse().unwrap()).collect(), ..DeliveryConfig::example() };
        Clients::new(&config).unwrap()
    }

    #[test]
    fn every_special_network_is_known() {
        assert_eq!(SPECIAL_NETWORKS.len(), SPECIAL.len());
    }

    #[test]
    fn addresses_of_no_public_host_are_refused_however_they_are_written() {
        let clients = clients(&[]);
        for url in [
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::127.0.0.1]/",
            "https://[64:ff9b::7f00:1]/",
            "https://[2002:7f00:1::]/",
            "https://10.1.2.3/",
            "https://172.31.255.255/",
            "https://192.168.0.1/",
            "https://169.254.169.254/latest/meta-data",
            "https://100.64.0.1/",
            "https://0.0.0.0/",
            "https://[fe80::1]/",
            "https://[fd00::1]/",
            "https://224.0.0.1/",
            "http://93.184.215.14/",
        ] {
            assert_eq!(clients.of(url).err(), Some(Refused::Address), "{url}");
        }
        for url in ["https://93.184.215.14/", "https://[2606:2800:21f:cb07::1]/", "https://example.com/"] {
            assert!(clients.of(url).is_ok(), "{url}");
        }
        for url in ["ftp://example.com/", "file:///etc/passwd", "nonsense", "https://", "javascript:alert(1)"] {
            assert_eq!(clients.of(url).err(), Some(Refused::NoUrl), "{url}");
        }
        assert_eq!(clients.of("https://user:pass@example.com/").err(), Some(Refused::Credentials));
    }

    #[test]
    fn what_the_configuration_allows_is_permitted_over_http_too() {
        let clients = clients(&["127.0.0.0/8"]);
        assert!(clients.of("http://127.0.0.1:9000/").is_ok() && clients.of("https://127.0.0.1/").is_ok());
        assert_eq!(clients.of("http://10.0.0.1/").err(), Some(Refused::Address));
    }

    #[tokio::test]
    async fn a_name_is_refused_by_what_it_resolves_to() {
        let resolve =
            async |guard: Guard| guard.resolve("localhost".parse().unwrap()).await.map(Iterator::count).map_err(|error| error.to_string());
        assert_eq!(resolve(Guard { allowed: Vec::new(), public: true }).await, Err(Refused::Address.to_string()));
        let allowed = vec!["127.0.0.0/8".parse().unwrap()];
        assert!(resolve(Guard { allowed, public: true }).await.is_ok_and(|found| found > 0));
    }
}
