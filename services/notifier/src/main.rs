//! The notifier's process.

use std::process::ExitCode;

use notifier::config::DEFAULTS;
use notifier::{app, commands};
use service::Definition;

const NOTIFIER: Definition =
    Definition { name: notifier::NAME, about: "Notifications: API, event streams and a page with the live list.", defaults: DEFAULTS };

fn main() -> ExitCode {
    service::run(NOTIFIER, app::start, commands::run)
}
