//! The bridge's command line.

use std::process::ExitCode;

use service::NoCommand;

fn main() -> ExitCode {
    service::run(mqtt_bridge::DEFINITION, mqtt_bridge::app::start, async |_, command: NoCommand| match command {})
}
