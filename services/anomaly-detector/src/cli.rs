//! The detector's own commands: features and scores of a CSV, and why a device's scores are what they are, by the same code
//! that serves.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use events::DeviceKey;

use crate::Config;
use crate::adapters::{Model, Runtime, Scorer};
use crate::commands::{self, CommandError, OnBadLine, ScoreOptions, Wanted};
use crate::stages::Detection;

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
        Err(error) if !error.is_broken_pipe() => {
            // Nobody is left to tell when standard error is closed.
            let _ = writeln!(io::stderr(), "anomaly-detector: {}", with_causes(&error));
            ExitCode::from(error.exit_code())
        }
        _ => ExitCode::SUCCESS,
    }
}

async fn execute(config: &Config, command: Command) -> Result<(), CommandError> {
    let mut output = BufWriter::new(io::stdout().lock());
    let mut notes = io::stderr();
    match command {
        Command::Features { input } => {
            let file = open(&input.file)?;
            commands::features(file, &mut output, on_bad_line(input.skip_bad, &mut notes))
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
            commands::score(file, &mut output, &mut scorer, options, on_bad_line(input.skip_bad, &mut notes))
        }
        Command::Explain { device, tenant, scores, whole_log } => {
            let runtime = Runtime::load(&config.model.runtime_library)?;
            let scorer = Scorer::open(&runtime, &config.model.open()?)?;
            let sensitivity = config.sensitivity(scorer.manifest());
            let wanted = Wanted { device: DeviceKey::new(tenant, device), scores, whole_log };
            let text = commands::explain(config, &Detection::new(scorer, sensitivity), &wanted).await.map_err(CommandError::Topics)?;
            output.write_all(text.as_bytes())?;
            output.flush()?;
            Ok(())
        }
    }
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
