use std::process::ExitCode;

use device_commands::{DEFINITION, app};
use service::NoCommand;

fn main() -> ExitCode {
    service::run(DEFINITION, app::start, async |_, command: NoCommand| match command {})
}
