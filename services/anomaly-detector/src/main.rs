use std::process::ExitCode;

use anomaly_detector::{DEFINITION, app, cli};

fn main() -> ExitCode {
    service::run(DEFINITION, app::start, async |config, command| Ok(cli::run(&config, command).await))
}
