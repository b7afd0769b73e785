use std::str::FromStr;

/// Scheme, whether it is TLS, and the usual port.
const SCHEMES: [(&str, bool, u16); 2] = [("mqtt://", false, 1883), ("mqtts://", true, 8883)];

/// Where the MQTT broker listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Name or address; an IPv6 address keeps its brackets.
    pub host: String,
    pub port: u16,
    pub tls: bool,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    #[error("has to begin with mqtt:// or mqtts://")]
    Scheme,
    #[error("has to be mqtt://host:port")]
    Address,
    #[error("must not hold user or password: there are mqtt.username and mqtt.password_file")]
    Login,
}

impl FromStr for Broker {
    type Err = BadUrl;

    fn from_str(url: &str) -> Result<Self, BadUrl> {
        let known = SCHEMES.iter().find_map(|(scheme, tls, port)| Some((url.strip_prefix(scheme)?, *tls, *port)));
        let (address, tls, default_port) = known.ok_or(BadUrl::Scheme)?;
        let address = address.strip_suffix('/').unwrap_or(address);
        if address.contains('@') {
            return Err(BadUrl::Login);
        }
        // The port follows the last colon, unless that one is inside an IPv6 address.
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| BadUrl::Address)?),
            _ => (address, default_port),
        };
        let bracketed = host.starts_with('[') && host.ends_with(']');
        if host.is_empty() || host.contains('/') || (host.contains(':') && !bracketed) {
            return Err(BadUrl::Address);
        }
        Ok(Self { host: host.to_owned(), port, tls })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_are_read_from_the_url() {
        for (url, host, port, tls) in [
            ("mqtt://broker:1884", "broker", 1884, false),
            ("mqtt://broker", "broker", 1883, false),
            ("mqtts://broker", "broker", 8883, true),
            ("mqtt://10.0.0.1:1883/", "10.0.0.1", 1883, false),
            ("mqtt://[::1]:1884", "[::1]", 1884, false),
            ("mqtts://[::1]", "[::1]", 8883, true),
        ] {
            assert_eq!(url.parse(), Ok(Broker { host: host.into(), port, tls }), "{url}");
        }
    }

    #[test]
    fn what_is_no_url_of_a_broker_is_refused() {
        for (url, problem) in [
            ("broker:1883", BadUrl::Scheme),
            ("http://broker", BadUrl::Scheme),
            ("mqtt://", BadUrl::Address),
            ("mqtt://broker:many", BadUrl::Address),
            ("mqtt://broker/topic", BadUrl::Address),
            ("mqtt://::1", BadUrl::Address),
            ("mqtt://user:word@broker", BadUrl::Login),
        ] {
            assert_eq!(url.parse::<Broker>(), Err(problem), "{url}");
        }
    }
}
