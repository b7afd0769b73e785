use std::path::Path;

use events::topics;
use mqtt_bridge::config::Config;
use mqtt_bridge::{COMMANDS, DEFINITION, NAME, app};
use testkit::{Kit, Mosquitto, Running};

use crate::wire::Wire;

/// What the bridge speaks to the broker.
pub(crate) type Version = &'static str;
pub(crate) const MQTT_3: Version = "3.1.1";
pub(crate) const MQTT_5: Version = "5";

/// Makes a test of each function over a version: one for each.
macro_rules! in_each_version {
    ($($name:ident),* $(,)?) => {
        mod mqtt_3 {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name($crate::bridge::MQTT_3).await;
            })*
        }

        mod mqtt_5 {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name($crate::bridge::MQTT_5).await;
            })*
        }
    };
}
pub(crate) use in_each_version;

/// A broker, the suite's topics, and the wire between broker and bridge.
pub(crate) struct Field {
    pub(crate) kit: Kit,
    pub(crate) broker: Mosquitto,
    pub(crate) wire: Wire,
    version: Version,
}

impl Field {
    pub(crate) async fn new() -> Self {
        Self::with(Mosquitto::start().await).await
    }

    pub(crate) fn speaking(self, version: Version) -> Self {
        Self { version, ..self }
    }

    pub(crate) async fn with(broker: Mosquitto) -> Self {
        let (dlq, retry) = (topics::dlq(NAME), topics::retry(NAME));
        let (dlq_of_commands, retry_of_commands) = (topics::dlq(COMMANDS), topics::retry(COMMANDS));
        let kit = Kit::with_topics(&[
            topics::READINGS,
            topics::DEVICE_STATUS,
            topics::DEVICE_STATE,
            topics::BLOBS,
            topics::OUTBOUND_COMMANDS,
            &dlq,
            &retry,
            &dlq_of_commands,
            &retry_of_commands,
        ])
        .await;
        let wire = Wire::to(broker.port).await;
        Self { kit, broker, wire, version: MQTT_5 }
    }

    pub(crate) fn config(&self, overrides: &[(&str, &str)]) -> Config {
        let url = self.wire.url();
        let mut all = vec![
            ("MQTT_BRIDGE__MQTT__URL", url.as_str()),
            ("MQTT_BRIDGE__MQTT__VERSION", self.version),
            // It has a connection of its own; `commands` looks at that one.
            ("MQTT_BRIDGE__COMMANDS__ENABLED", "false"),
        ];
        all.extend_from_slice(overrides);
        self.kit.config(DEFINITION.name, DEFINITION.defaults, &all)
    }

    /// A bridge that is ready.
    pub(crate) async fn bridge(&self, overrides: &[(&str, &str)]) -> Running {
        let bridge = Running::start(self.config(overrides), app::start).await;
        bridge.ready().await;
        bridge
    }

    /// The environment of a bridge in a process of its own.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        [
            ("FIELDWATCH__KAFKA__BROKERS", self.kit.kafka.brokers.as_str()),
            ("FIELDWATCH__KAFKA__TOPIC_PREFIX", self.kit.prefix()),
            ("FIELDWATCH__REGISTRY__URL", self.kit.registry_config.url.as_str()),
            ("MQTT_BRIDGE__MQTT__URL", self.wire.url().as_str()),
            ("MQTT_BRIDGE__MQTT__VERSION", self.version),
            ("MQTT_BRIDGE__COMMANDS__ENABLED", "false"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    /// The same with a spool.
    pub(crate) fn environment_with_spool(&self, folder: &Path) -> Vec<(String, String)> {
        let mut environment = self.environment();
        environment.push(("MQTT_BRIDGE__SPOOL__FOLDER".into(), folder.display().to_string()));
        environment.push(("MQTT_BRIDGE__SPOOL__ENCRYPTION__KEY".into(), "spool-key-0123456789abcdef0123456789".into()));
        environment
    }
}
