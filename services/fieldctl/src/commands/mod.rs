//! One module a command.

pub(crate) mod command;
pub(crate) mod device;
pub(crate) mod dlq;
pub(crate) mod golden;
pub(crate) mod lag;
pub(crate) mod plan;
pub(crate) mod probe;
pub(crate) mod replay;
mod rights;
pub(crate) mod scene;
pub(crate) mod schemas;
pub(crate) mod simulate;
pub(crate) mod strimzi;
pub(crate) mod tail;
pub(crate) mod topics;

use crate::SUCCESS;
use crate::cli::Command;
use crate::context::Context;

/// Runs a command; its exit status.
pub(crate) async fn run(command: Command, context: &mut Context<'_>) -> anyhow::Result<u8> {
    match command {
        Command::Topics(command) => topics::run(&command, context).await,
        Command::Strimzi(command) => strimzi::run(command, context),
        Command::Schemas(command) => schemas::run(&command, context).await,
        Command::Dlq(command) => dlq::run(&command, context).await,
        Command::Tail(arguments) => tail::run(&arguments, context).await,
        Command::Lag(arguments) => lag::run(&arguments, context),
        Command::Simulate(arguments) => simulate::run(&arguments, context).await,
        Command::Replay(arguments) => replay::run(&arguments, context).await,
        Command::Device(command) => device::run(&command, context).await,
        Command::Command(command) => command::run(&command, context).await,
        Command::Scene(command) => scene::run(&command, context).await,
        Command::Plan(arguments) => plan::run(&arguments, context),
        Command::Probe(arguments) => probe::run(&arguments, context).await,
        Command::Golden(command) => golden::run(&command, context).await,
        Command::Version => {
            context.out.line(concat!("fieldctl ", env!("CARGO_PKG_VERSION")))?;
            Ok(SUCCESS)
        }
    }
}
