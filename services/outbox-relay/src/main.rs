//! The outbox relay's process.

use std::process::ExitCode;

use outbox_relay::config::DEFAULTS;
use outbox_relay::{app, commands};
use service::Definition;

const DEFINITION: Definition = Definition {
    name: "outbox-relay",
    about: "Publishes the outbox: in order per aggregate, at least once, deleted only once acknowledged.",
    defaults: DEFAULTS,
};

fn main() -> ExitCode {
    service::run(DEFINITION, app::start, commands::run)
}
