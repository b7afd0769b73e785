//! The service's own commands. They read files and topics, never a running service.

mod backtest;
mod explain;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::{Config, language, rule_tests};

/// Their name with Kafka.
const CLIENT: &str = "temperature-alert-rules";
/// `EX_DATAERR`: the file has mistakes.
const EXIT_REFUSED: u8 = 65;

#[derive(Subcommand)]
pub enum Command {
    /// Check, test, explain and backtest rules.
    Rules {
        #[command(subcommand)]
        command: RulesCommand,
    },
}

#[derive(Subcommand)]
pub enum RulesCommand {
    /// Say every mistake of a file of rules with its line and column; exit 65 if there is any.
    Check { file: PathBuf },
    /// Run unit tests for rules: input series, expected alerts; exit 1 if any fails.
    Test {
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Say why a device's alerts are in the state they are: its snapshot, and the log from there to its end.
    Explain(Explain),
    /// Say what a file of rules would have fired on the log, beside what was fired.
    Backtest(Backtest),
}

#[derive(Args)]
pub struct Explain {
    #[arg(long)]
    device: String,
    #[arg(long, default_value = events::DEFAULT_TENANT)]
    tenant: String,
}

#[derive(Args)]
pub struct Backtest {
    file: PathBuf,
    /// How far back in the log to begin, e.g. 7d or 12h
    #[arg(long, value_parser = language::duration)]
    since: std::time::Duration,
}

/// Runs a command; the exit status says how it went.
pub async fn run(config: Config, command: Command) -> anyhow::Result<ExitCode> {
    let Command::Rules { command } = command;
    match command {
        RulesCommand::Check { file } => match language::load(&file) {
            Ok(rules) => {
                say(&format!("{}: {} rules are fine\n", file.display(), rules.iter().count()))?;
                Ok(ExitCode::SUCCESS)
            }
            Err(problem) => refuse(&problem),
        },
        RulesCommand::Test { files } => test(&files),
        RulesCommand::Explain(Explain { device, tenant }) => {
            let text = explain::explain(&config, &events::DeviceKey::new(tenant, device)).await?;
            say(&text)?;
            Ok(ExitCode::SUCCESS)
        }
        RulesCommand::Backtest(Backtest { file, since }) => match language::load(&file) {
            Ok(rules) => {
                let text = backtest::backtest(&config, rules, since).await?;
                say(&text)?;
                Ok(ExitCode::SUCCESS)
            }
            Err(problem) => refuse(&problem),
        },
    }
}

fn test(files: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let (mut passed, mut failed) = (0, 0);
    for file in files {
        let outcomes = match rule_tests::run(file) {
            Ok(outcomes) => outcomes,
            Err(problem) => return refuse(&problem),
        };
        for outcome in outcomes {
            if outcome.differences.is_empty() {
                passed += 1;
                continue;
            }
            failed += 1;
            say(&format!("FAILED {}: {}\n    - expected, + announced\n", file.display(), outcome.name))?;
            for line in outcome.differences {
                say(&format!("    {line}\n"))?;
            }
        }
    }
    say(&format!("{passed} passed, {failed} failed\n"))?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn say(text: &str) -> anyhow::Result<()> {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

fn refuse(problem: &str) -> anyhow::Result<ExitCode> {
    writeln!(std::io::stderr(), "{}", problem.replace("; line ", "\n  line "))?;
    Ok(ExitCode::from(EXIT_REFUSED))
}
