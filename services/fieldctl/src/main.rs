use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() else {
        return ExitCode::FAILURE;
    };
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    let status = runtime.block_on(fieldctl::run(std::env::args_os(), std::env::vars().collect(), &mut out, &mut err));
    // A blocking call that does not end must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    ExitCode::from(status)
}
