//! For tests only: the real Kafka, registry, Postgres and Mosquitto, each test on its own topics, database and broker.
//!
//! Addresses come from the environment that `scripts/infra env` prints; a test without them fails and says so.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::missing_panics_doc,
    clippy::disallowed_methods,
    reason = "a failing fixture fails the test"
)]

pub mod bench;
mod cable;
mod capture;
pub mod chaos;
pub mod clocked;
pub mod cut;
mod database;
mod debezium;
mod eventually;
pub mod fuzz;
pub mod history;
mod lamps;
pub mod log;
mod mock_kafka;
mod mosquitto;
pub mod ordeal;
mod otlp;
mod process;
mod readings;
mod running;
mod seed;
mod suite;
mod topics;

pub use cable::Cable;
pub use capture::{Capture, capture, capture_from};
pub use database::Database;
pub use debezium::Debezium;
pub use eventually::{eventually, eventually_within};
pub use lamps::{Answer, Happened, Lamps, What};
pub use mock_kafka::MockKafka;
pub use mosquitto::Mosquitto;
pub use otlp::{OtlpReceiver, Span};
pub use process::{Process, binary, free_port};
pub use readings::temperature;
pub use running::Running;
pub use seed::{count, seeds};
pub use suite::{Api, SERVICES, Suite};
pub use topics::{Kit, catalogue, config, kafka_config};

/// A variable of `scripts/infra env`.
pub fn environment(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `scripts/infra up` and `eval \"$(scripts/infra env)\"`"))
}

/// Whether what the parts under test log is shown: `FIELDWATCH_TEST_LOGS=1`, with `RUST_LOG` as its filter.
pub(crate) fn logs_are_shown() -> bool {
    std::env::var_os("FIELDWATCH_TEST_LOGS").is_some()
}

/// Those of this process; a process of its own has its own.
pub(crate) fn show_logs() {
    if logs_are_shown() {
        let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
        // Another test of this process may have been first.
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
    }
}
