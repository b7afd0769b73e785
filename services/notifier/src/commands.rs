//! The notifier's own commands. They work on the database and the topics, never on a running service.

pub mod config;
pub mod keys;
mod rebuild;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;

use crate::adapters::db::Store;
use crate::config::Config;

#[derive(Subcommand)]
pub enum Command {
    /// API keys: create, list, revoke.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// What tenants configure: receivers, routes, silences, escalations, mute times, webhooks.
    #[command(subcommand)]
    Config(config::ConfigFiles),
    /// Make the notifications and their audit logs anew from notifications.v1; the API may stay up.
    Rebuild,
}

pub async fn run(config: Config, command: Command) -> anyhow::Result<ExitCode> {
    let store = Store::new(&config.database)?;
    store.migrate().await.context("the database cannot be prepared")?;
    match command {
        Command::Keys(command) => keys::run(&store, command).await?,
        Command::Config(command) => config::run(&store, &config, command).await?,
        Command::Rebuild => rebuild::run(&store, &config).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn print(text: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{text}")
}
