//! `fieldctl`: what spans services. Topics and schemas, dead letters, lag, synthetic devices, decoded topics.
//!
//! It reads topics and writes to the doors devices and operators use; it never talks to a running service, except that
//! `probe` listens to the notification stream as a dashboard would, and `command` and `scene` ask the API. What it prints goes where the caller says.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

mod adapters;
mod cli;
mod commands;
mod config;
mod context;
mod domain;
mod output;

use std::ffi::OsString;
use std::io::{ErrorKind, Write};

use clap::Parser;

use crate::cli::Cli;
use crate::config::Config;
use crate::context::Context;
use crate::output::Output;

/// It did what was asked, or found nothing wrong.
pub const SUCCESS: u8 = 0;
/// It could not, or found what it looks for: a difference, a gap, a missing alert.
pub const FAILURE: u8 = 1;
/// `EX_USAGE`: arguments or configuration are wrong, trying again will not help.
pub const USAGE: u8 = 64;

/// Runs one command and returns the exit status. `arguments` begin with the program's name; a reader of `out` that goes
/// away ends the command without complaint.
pub async fn run(
    arguments: impl IntoIterator<Item = OsString>,
    environment: Vec<(String, String)>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => return say(err, &error.render().to_string(), USAGE),
        Err(asked) => return say(out, &asked.render().to_string(), SUCCESS),
    };
    let config = match Config::load(cli.config.as_deref(), environment) {
        Ok(config) => config,
        Err(mistakes) => {
            let title = format!("fieldctl: the configuration has {} mistake(s)", mistakes.len());
            let lines = std::iter::once(title).chain(mistakes.iter().map(|mistake| format!("  {mistake}")));
            return say(err, &format!("{}\n", lines.collect::<Vec<_>>().join("\n")), USAGE);
        }
    };
    let mut context = Context { config, out: Output::new(out) };
    match commands::run(cli.command, &mut context).await {
        Ok(status) => status,
        Err(error) if is_broken_pipe(&error) => SUCCESS,
        Err(error) => {
            let status = if error.is::<context::WrongUsage>() { USAGE } else { FAILURE };
            say(err, &format!("fieldctl: {}\n", one_line(&error)), status)
        }
    }
}

/// The error and its causes; one that a cause before it has told already is left out.
fn one_line(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |line, cause| match line.as_str() {
        "" => cause,
        said if said.contains(&cause) => line,
        said => format!("{said}: {cause}"),
    })
}

fn say(to: &mut dyn Write, text: &str, status: u8) -> u8 {
    // Nobody left to tell when the stream is gone.
    let _ = write!(to, "{text}");
    status
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe))
}
