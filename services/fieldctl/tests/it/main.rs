//! The commands against real Kafka, registry and MQTT, entered by the same door as `main`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod actuators;
mod commands;
mod devices;
mod dlq;
mod plan;
mod probe;
mod schemas;
mod tail;
mod topics;

use testkit::Kit;

/// What a command printed, and its exit status.
#[derive(Debug)]
struct Ran {
    status: u8,
    out: String,
    err: String,
}

impl Ran {
    /// Each line of the output as JSON.
    fn json(&self) -> Vec<serde_json::Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Runs `fieldctl` on the kit's topics; `line` is split at spaces.
async fn fieldctl(kit: &Kit, line: &str) -> Ran {
    let environment = [
        ("FIELDWATCH__KAFKA__BROKERS", kit.kafka.brokers.as_str()),
        ("FIELDWATCH__KAFKA__TOPIC_PREFIX", kit.prefix()),
        ("FIELDWATCH__REGISTRY__URL", kit.registry_config.url.as_str()),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let arguments = std::iter::once("fieldctl").chain(line.split_whitespace()).map(Into::into);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let status = fieldctl::run(arguments, environment, &mut out, &mut err).await;
    let [out, err] = [out, err].map(|bytes| String::from_utf8(bytes).unwrap());
    Ran { status, out, err }
}

/// As [`fieldctl`]; it must succeed.
async fn succeed(kit: &Kit, line: &str) -> Ran {
    let ran = fieldctl(kit, line).await;
    assert_eq!(ran.status, fieldctl::SUCCESS, "{line}: {ran:?}");
    ran
}
