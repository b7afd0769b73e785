use std::process::ExitCode;

use temperature_alert::{DEFINITION, app, commands};

fn main() -> ExitCode {
    service::run(DEFINITION, app::start, commands::run)
}
