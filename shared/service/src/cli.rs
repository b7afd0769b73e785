//! The command line every service has: `run` (default), `check-config`, `healthcheck`, `version`, and its own commands.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{Layers, ServiceConfig, load};
use crate::{Health, Shutdown, Supervisor, admin};

/// `EX_USAGE`: the configuration is wrong, starting again will not help.
const EXIT_CONFIG: u8 = 64;

/// What a service is called and how it is configured.
#[derive(Clone, Copy)]
pub struct Definition {
    /// Folder, binary, consumer group and OpenTelemetry service name.
    pub name: &'static str,
    pub about: &'static str,
    /// Commented TOML: every key of the service's own sections.
    pub defaults: &'static str,
}

/// For a service without commands of its own.
#[derive(Subcommand)]
pub enum NoCommand {}

#[derive(Parser)]
struct Cli<Own: Subcommand> {
    /// TOML file over the defaults.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command<Own>>,
}

#[derive(Subcommand)]
enum Command<Own: Subcommand> {
    /// Run the service (the default).
    Run,
    /// Read the configuration, say what is wrong with it, exit 64 if anything is.
    CheckConfig {
        /// Print every key with its documentation and default.
        #[arg(long)]
        print_defaults: bool,
    },
    /// Ask the running service's admin port whether it is ready.
    Healthcheck,
    /// Print the version.
    Version,
    #[command(flatten)]
    Own(Own),
}

/// `main` of every service. `start` builds the service's parts into the supervisor; `own` runs its other commands.
pub fn run<C, Own, Start, Run>(definition: Definition, start: Start, own: Run) -> ExitCode
where
    C: ServiceConfig,
    Own: Subcommand,
    Start: AsyncFnOnce(C, &Health, &mut Supervisor) -> anyhow::Result<()>,
    Run: AsyncFnOnce(C, Own) -> anyhow::Result<ExitCode>,
{
    let matches = Cli::<Own>::command().name(definition.name).about(definition.about).version(env!("CARGO_PKG_VERSION")).get_matches();
    let cli = match Cli::<Own>::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let command = cli.command.unwrap_or(Command::Run);
    match command {
        Command::Version => return print(&format!("{} {}", definition.name, env!("CARGO_PKG_VERSION"))),
        Command::CheckConfig { print_defaults: true } => return print(&crate::config::documentation(definition.defaults)),
        _ => {}
    }
    let environment = std::env::vars().collect();
    let layers = Layers { service: definition.name, defaults: definition.defaults, file: cli.config.as_deref(), environment };
    let config: C = match load(&layers) {
        Ok(config) => config,
        Err(mistakes) => {
            complain(&format!("{}: the configuration has {} mistake(s)", definition.name, mistakes.len()));
            for mistake in mistakes {
                complain(&format!("  {mistake}"));
            }
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(config.threads()).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("{}: no runtime: {error}", definition.name));
            return ExitCode::FAILURE;
        }
    };
    let outcome = match command {
        Command::CheckConfig { .. } => return print("configuration is fine"),
        Command::Healthcheck => runtime.block_on(healthcheck(config.shared().admin.listen)),
        Command::Own(command) => runtime.block_on(own(config, command)),
        Command::Run | Command::Version => runtime.block_on(serve(definition, config, start)),
    };
    // A blocking call that does not end must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome.unwrap_or_else(|error| {
        complain(&format!("{}: {error:#}", definition.name));
        ExitCode::FAILURE
    })
}

async fn serve<C, Start>(definition: Definition, config: C, start: Start) -> anyhow::Result<ExitCode>
where
    C: ServiceConfig,
    Start: AsyncFnOnce(C, &Health, &mut Supervisor) -> anyhow::Result<()>,
{
    let shared = config.shared();
    let _guard = telemetry::init(definition.name, shared.telemetry, shared.log)?;
    let shutdown = Shutdown::new();
    let mut supervisor = Supervisor::new(shutdown.clone());
    let health = Health::default();
    // Until its parts have their own checks, a service that is still starting would look ready.
    let starting = health.check("start");

    let listen = shared.admin.listen;
    let listener = TcpListener::bind(listen).await.map_err(|error| anyhow::anyhow!("admin.listen: cannot listen on {listen}: {error}"))?;
    supervisor.spawn("admin", admin::serve(listener, health.clone(), shutdown.clone()));
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    supervisor.spawn("signals", async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = shutdown.cancelled() => {}
        }
        tracing::info!("stopping: taking nothing more, finishing what was begun");
        shutdown.cancel();
        Ok(())
    });

    start(config, &health, &mut supervisor).await?;
    starting.ready();
    tracing::info!(service = definition.name, version = env!("CARGO_PKG_VERSION"), admin = %listen, "started");
    supervisor.run().await?;
    Ok(ExitCode::SUCCESS)
}

async fn healthcheck(listen: SocketAddr) -> anyhow::Result<ExitCode> {
    let host = if listen.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { listen.ip() };
    let url = format!("http://{}/ready", SocketAddr::new(host, listen.port()));
    let answer = reqwest::Client::builder().timeout(Duration::from_secs(3)).build()?.get(&url).send().await?;
    let (status, text) = (answer.status(), answer.text().await?);
    anyhow::ensure!(status.is_success(), "not ready: {}", text.trim());
    Ok(print("ready"))
}

fn print(line: &str) -> ExitCode {
    match writeln!(std::io::stdout(), "{line}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn complain(line: &str) {
    // Nobody left to tell when standard error is gone.
    let _ = writeln!(std::io::stderr(), "{line}");
}
