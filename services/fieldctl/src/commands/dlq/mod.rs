//! Dead letters of one service: find, look at, try again, delete.
//!
//! A letter stays in its topic until it is purged or too old; trying it again writes a copy to `retry.<service>.v1`.

mod letters;
mod list;
mod purge;
mod redrive;
mod show;

use clap::Subcommand;

use crate::context::Context;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// One line a dead letter, oldest first in each partition
    List(list::Arguments),
    /// Everything about one dead letter
    Show(show::Arguments),
    /// Give dead letters to their service again
    Redrive(redrive::Arguments),
    /// Delete dead letters up to a point
    Purge(purge::Arguments),
}

pub(crate) async fn run(command: &Command, context: &mut Context<'_>) -> anyhow::Result<u8> {
    match command {
        Command::List(arguments) => list::run(arguments, context).await,
        Command::Show(arguments) => show::run(arguments, context).await,
        Command::Redrive(arguments) => redrive::run(arguments, context).await,
        Command::Purge(arguments) => purge::run(arguments, context).await,
    }
}
