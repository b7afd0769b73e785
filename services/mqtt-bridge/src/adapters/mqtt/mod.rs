//! The connection to the broker, over rumqttc: the one place that knows this client. It has a client for each version of
//! the protocol; the session is the same over both.

mod client;
mod door;
mod options;
mod release;
mod session;
mod version3;
mod version5;

use service::{HealthCheck, Shutdown};
use stream::Failure;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::adapters::Intake;
use crate::config::{MqttConfig, MqttVersion};
use crate::domain::{MAIN_CONNECTION, Routes};

pub use client::Published;
pub use door::{AnyDoor, Doorway};
use options::Purpose;
pub use release::Release;
use session::Session;

/// A session in the version that is configured.
pub enum AnySession {
    Version3(Box<Session<version3::Connection3>>),
    Version5(Box<Session<version5::Connection5>>),
}

impl AnySession {
    /// A session for the routes of one connection; connects when it runs.
    pub fn new(
        config: &MqttConfig,
        routes: &Routes,
        name: &str,
        releases: UnboundedReceiver<Release>,
        check: HealthCheck,
    ) -> Result<Self, Failure> {
        let main = name == MAIN_CONNECTION;
        let client_id = if main { config.client_id.clone() } else { format!("{}-{name}", config.client_id) };
        let mut config = config.clone();
        if !main {
            // One of the connections speaks for the bridge.
            config.status_topic.clear();
        }
        let routes = routes.of_connection(name);
        let unknown_after = (!config.unknown_after.is_zero()).then_some(config.unknown_after);
        Ok(match config.version {
            MqttVersion::V3 => {
                let client = version3::client(&config, &client_id, Purpose::Take, routes)?;
                Self::Version3(Box::new(Session::new(client, name, config.status_topic, unknown_after, releases, check)))
            }
            MqttVersion::V5 => {
                let client = version5::client(&config, &client_id, Purpose::Take, routes)?;
                Self::Version5(Box::new(Session::new(client, name, config.status_topic, unknown_after, releases, check)))
            }
        })
    }

    /// Hands every message to `intake` until the service stops and what was taken is acknowledged.
    pub async fn run(self, intake: Intake, shutdown: Shutdown) -> Result<(), Failure> {
        match self {
            Self::Version3(session) => session.run(intake, shutdown).await,
            Self::Version5(session) => session.run(intake, shutdown).await,
        }
    }
}
