use std::process::ExitCode;

use temperature_alert::{DEFINITION, app};

fn main() -> ExitCode {
    service::run(DEFINITION, app::start, async |_config, command: service::NoCommand| match command {})
}
