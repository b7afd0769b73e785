//! Why a command stopped, and the exit status that says so (sysexits.h).

use std::{io, path::PathBuf};

use thiserror::Error;

use super::readings::BadLine;
use crate::adapters::{InferenceFailed, ModelError, RuntimeError};

#[derive(Debug, Error)]
pub enum CommandError {
    #[error("cannot open {}", .path.display())]
    InputUnreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    BadLine(#[from] BadLine),
    #[error("cannot write the result")]
    OutputFailed(#[from] io::Error),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Inference(#[from] InferenceFailed),
    #[error("line {line} of the archive: {problem}")]
    ArchiveUnreadable { line: usize, problem: String },
    #[error("no model was trained: {problem}")]
    TrainerFailed { problem: String },
    #[error("cannot read the topics")]
    Topics(#[source] anyhow::Error),
}

impl CommandError {
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Runtime(_) | Self::Model(_) => 64,
            Self::BadLine(_) | Self::ArchiveUnreadable { .. } => 65,
            Self::InputUnreadable { .. } => 66,
            Self::Inference(_) | Self::TrainerFailed { .. } => 70,
            Self::Topics(_) => 69,
            Self::OutputFailed(_) => 74,
        }
    }

    /// The reader of our output went away, as `head` does: no mistake of anyone's.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::OutputFailed(e) if e.kind() == io::ErrorKind::BrokenPipe)
    }
}
