//! A model trained on the fleet's own history, which replaces the present one only when the comparison accepts it.
//!
//! It is trained on the first three quarters of the history and compared on the last, which it never saw.

use std::fs;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::Command;

use events::Timestamp;

use super::{Comparison, History, Verdict, export};
use crate::Config;
use crate::adapters::{Model, Runtime};
use crate::commands::CommandError;

const TRAINED_ON: f64 = 0.75;

pub struct Retrain {
    pub history: History,
    /// The model folder that is replaced.
    pub into: PathBuf,
    pub python: PathBuf,
    /// The folder with train.py.
    pub trainer: PathBuf,
    /// For train.py.
    pub arguments: Vec<String>,
}

/// Says what it did in `notes`; the report and the verdict of the comparison.
pub async fn retrain(config: &Config, runtime: &Runtime, retrain: &Retrain) -> Result<(String, Verdict), CommandError> {
    let Retrain { history, into, python, trainer, arguments } = retrain;
    let current = if into.join("model.json").exists() { Model::read(into)? } else { Model::embedded()? };
    let scratch = tempfile::tempdir().map_err(CommandError::OutputFailed)?;
    let (archive, candidate) = (scratch.path().join("history.csv"), scratch.path().join("model"));

    let cut = cut(config, history).await?;
    let file = fs::File::create(&archive)?;
    export(config, history, cut, &mut BufWriter::new(file)).await?;
    let status = Command::new(python)
        .arg(trainer.join("train.py"))
        .arg("--detector")
        .arg(std::env::current_exe()?)
        .arg("--history")
        .arg(&archive)
        .arg("--out")
        .arg(&candidate)
        .args(["--version", &next_version(&current)])
        .args(arguments)
        .status()
        .map_err(|source| CommandError::TrainerFailed { problem: format!("{} cannot be run: {source}", python.display()) })?;
    if !status.success() {
        return Err(CommandError::TrainerFailed { problem: format!("train.py ended with {status}") });
    }

    let model = Model::read(&candidate)?;
    let comparison = Comparison::run(config, runtime, (&current, &model), history, cut).await?;
    let (report, verdict) = comparison.judged()?;
    if verdict == Verdict::Accepted {
        replace(&candidate, into)?;
    }
    Ok((report, verdict))
}

/// When the readings that are trained on end.
async fn cut(config: &Config, history: &History) -> Result<Timestamp, CommandError> {
    let (mut first, mut last) = (i64::MAX, i64::MIN);
    history
        .read(config, |reading| {
            let at = reading.measured_at.as_micros();
            (first, last) = (first.min(at), last.max(at));
            Ok(())
        })
        .await?;
    let span = last.saturating_sub(first).max(0) as f64;
    Ok(Timestamp::from_micros(first.saturating_add((span * TRAINED_ON) as i64)))
}

fn next_version(current: &Model) -> String {
    let (base, number) = current.manifest.version.split_once("-fleet.").unwrap_or((&current.manifest.version, "0"));
    format!("{base}-fleet.{}", number.parse::<u64>().unwrap_or_default() + 1)
}

/// The files one by one: a service that looks in between refuses what does not fit together, and takes the whole a second
/// later. What was there is kept in `previous`.
fn replace(candidate: &Path, into: &Path) -> Result<(), CommandError> {
    let previous = into.join("previous");
    fs::create_dir_all(&previous)?;
    for name in ["model.onnx", "model.json"] {
        let (place, next) = (into.join(name), into.join(format!("{name}.next")));
        if place.exists() {
            fs::copy(&place, previous.join(name))?;
        }
        fs::copy(candidate.join(name), &next)?;
        fs::rename(&next, &place)?;
    }
    Ok(())
}
