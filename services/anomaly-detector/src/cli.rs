//! The detector's own commands: features and scores of a CSV, and why a device's scores are what they are, by the same code
//! that serves.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use events::{DeviceKey, Timestamp};

use crate::Config;
use crate::adapters::{Model, Runtime, Scorer};
use crate::commands::model::{self, Comparison, History, Retrain, Verdict};
use crate::commands::{self, CommandError, OnBadLine, ScoreOptions, Wanted};

#[derive(Subcommand)]
pub enum Command {
    /// Write the features of each reading of a CSV (timestamp,value) as CSV.
    Features {
        #[command(flatten)]
        input: Input,
    },
    /// Write a score, 0 to 1, for each reading of a CSV (timestamp,value) as CSV.
    Score {
        #[command(flatten)]
        input: Input,
        /// Folder with model.onnx and model.json instead of the configured model.
        #[arg(long, value_name = "DIR")]
        model: Option<PathBuf>,
        /// The ONNX Runtime shared library instead of the configured one.
        #[arg(long, value_name = "FILE")]
        runtime_library: Option<PathBuf>,
        /// Show a score only where none of the N readings before scored as high, else 0.
        #[arg(long, value_name = "N", default_value_t = 0)]
        dead_time: usize,
        /// Add the expected value and the band it should have stayed in.
        #[arg(long)]
        band: bool,
    },
    /// Compare, export for and retrain models.
    Model {
        #[command(subcommand)]
        command: ModelCommand,
    },
    /// Say what a device's recent scores were made of: its snapshot, and the log from there to its end.
    Explain {
        #[arg(long)]
        device: String,
        #[arg(long, default_value = events::DEFAULT_TENANT)]
        tenant: String,
        /// Scores to show of each metric
        #[arg(long, value_name = "N", default_value_t = 12)]
        scores: usize,
        /// Leave the snapshot out and score all that the log still holds
        #[arg(long)]
        whole_log: bool,
    },
}

#[derive(Subcommand)]
pub enum ModelCommand {
    /// Score the log, or an archive, with two model folders: agreement, alarm rates, examples; exit 1 where the new one must
    /// not replace the old one.
    Compare {
        old: PathBuf,
        new: PathBuf,
        #[command(flatten)]
        history: From,
    },
    /// Write the log as an archive: CSV with series, timestamp and value.
    Export {
        /// How far back in the log to begin, e.g. 7d or 12h
        #[arg(long, value_parser = humantime::parse_duration)]
        since: Duration,
    },
    /// Train on the fleet's own history; replace the model folder if the comparison accepts the new one, else exit 1.
    Retrain {
        #[command(flatten)]
        history: From,
        /// The model folder to replace [default: the configured one]
        #[arg(long, value_name = "DIR")]
        into: Option<PathBuf>,
        /// A Python with what requirements.txt names
        #[arg(long, value_name = "FILE", default_value = "python3")]
        python: PathBuf,
        /// The folder with train.py
        #[arg(long, value_name = "DIR", default_value = "services/anomaly-detector/model")]
        trainer: PathBuf,
        /// For train.py: --seed, --streams, --steps, --corpus
        #[arg(last = true)]
        arguments: Vec<String>,
    },
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct From {
    /// How far back in the log to begin, e.g. 7d or 12h
    #[arg(long, value_parser = humantime::parse_duration)]
    since: Option<Duration>,
    /// An archive written by `model export` instead of the log
    #[arg(long, value_name = "FILE")]
    archive: Option<PathBuf>,
}

impl From {
    fn history(self) -> History {
        match (self.archive, self.since) {
            (Some(path), _) => History::Archive(path),
            (None, since) => History::Since(since.unwrap_or_default()),
        }
    }
}

#[derive(Args)]
pub struct Input {
    /// The CSV to read
    file: PathBuf,
    /// Leave out lines that are no readings, naming each on standard error, instead of stopping at the first
    #[arg(long)]
    skip_bad: bool,
}

/// Runs a command; the exit status says why it stopped.
pub async fn run(config: &Config, command: Command) -> ExitCode {
    match execute(config, command).await {
        Ok(status) => status,
        Err(error) if !error.is_broken_pipe() => {
            // Nobody is left to tell when standard error is closed.
            let _ = writeln!(io::stderr(), "anomaly-detector: {}", with_causes(&error));
            ExitCode::from(error.exit_code())
        }
        Err(_) => ExitCode::SUCCESS,
    }
}

async fn execute(config: &Config, command: Command) -> Result<ExitCode, CommandError> {
    let mut output = BufWriter::new(io::stdout().lock());
    let mut notes = io::stderr();
    match command {
        Command::Features { input } => {
            let file = open(&input.file)?;
            commands::features(file, &mut output, on_bad_line(input.skip_bad, &mut notes))?;
        }
        Command::Score { input, model, runtime_library, dead_time, band } => {
            let file = open(&input.file)?;
            let model = match model {
                Some(folder) => Model::read(&folder)?,
                None => config.model.open()?,
            };
            let runtime = Runtime::load(runtime_library.as_ref().unwrap_or(&config.model.runtime_library))?;
            let mut scorer = Scorer::open(&runtime, &model)?;
            let options = ScoreOptions { dead_time, band };
            commands::score(file, &mut output, &mut scorer, options, on_bad_line(input.skip_bad, &mut notes))?;
        }
        Command::Explain { device, tenant, scores, whole_log } => {
            let runtime = Runtime::load(&config.model.runtime_library)?;
            let detection = config.detection(&runtime, &config.model.open()?)?;
            let wanted = Wanted { device: DeviceKey::new(tenant, device), scores, whole_log };
            let text = commands::explain(config, &detection, &wanted).await.map_err(CommandError::Topics)?;
            output.write_all(text.as_bytes())?;
        }
        Command::Model { command } => return model(config, command, &mut output).await,
    }
    output.flush()?;
    Ok(ExitCode::SUCCESS)
}

async fn model(config: &Config, command: ModelCommand, output: &mut impl Write) -> Result<ExitCode, CommandError> {
    let (report, verdict) = match command {
        ModelCommand::Export { since } => {
            model::export(config, &History::Since(since), Timestamp::from_micros(i64::MAX), output).await?;
            return Ok(ExitCode::SUCCESS);
        }
        ModelCommand::Compare { old, new, history } => {
            let models = (&Model::read(&old)?, &Model::read(&new)?);
            let runtime = Runtime::load(&config.model.runtime_library)?;
            let comparison = Comparison::run(config, &runtime, models, &history.history(), Timestamp::MIN).await?;
            comparison.judged()?
        }
        ModelCommand::Retrain { history, into, python, trainer, arguments } => {
            let into = into.unwrap_or_else(|| PathBuf::from(&config.model.folder));
            if into.as_os_str().is_empty() {
                return Err(CommandError::TrainerFailed { problem: "--into or model.folder must name the folder to replace".into() });
            }
            let runtime = Runtime::load(&config.model.runtime_library)?;
            let wanted = Retrain { history: history.history(), into, python, trainer, arguments };
            model::retrain(config, &runtime, &wanted).await?
        }
    };
    output.write_all(report.as_bytes())?;
    output.flush()?;
    Ok(if verdict == Verdict::Accepted { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn open(path: &Path) -> Result<BufReader<File>, CommandError> {
    let file = File::open(path).map_err(|source| CommandError::InputUnreadable { path: path.to_owned(), source })?;
    Ok(BufReader::new(file))
}

fn on_bad_line(skip: bool, notes: &mut io::Stderr) -> OnBadLine<'_> {
    if skip { OnBadLine::Skip(notes) } else { OnBadLine::Stop }
}

fn with_causes(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source()).map(|e| format!(": {e}"));
    error.to_string() + &causes.collect::<String>()
}
