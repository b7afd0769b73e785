//! The ONNX Runtime shared library, loaded once a process from a configured path.
//!
//! A path that is missing, is no ONNX Runtime, or is an older one than this build speaks to is an error that names it;
//! nothing here panics, and nothing is looked up in the system's own library folders.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use ort::{environment::Environment, logging::LogLevel};
use thiserror::Error;

#[derive(Debug, Error)]
pub enum RuntimeError {
    #[error("no ONNX Runtime library at {}: set ANOMALY_DETECTOR__MODEL__RUNTIME_LIBRARY to a libonnxruntime.so of version 1.{} or newer", .path.display(), ort::MINOR_VERSION)]
    LibraryMissing {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{} cannot be used as the ONNX Runtime (1.{} or newer is needed)", .path.display(), ort::MINOR_VERSION)]
    LibraryRefused {
        path: PathBuf,
        #[source]
        source: ort::LoadDynamicError,
    },
    #[error("the ONNX Runtime is already loaded from {}: a process keeps the first one", .loaded.display())]
    OtherLibraryLoaded { loaded: PathBuf },
    #[error("the ONNX Runtime at {} did not start: {reason}", .path.display())]
    StartFailed { path: PathBuf, reason: String },
}

/// Only one environment may exist in a process, for as long as the process lives.
static LOADED: Mutex<Option<(PathBuf, Environment)>> = Mutex::new(None);

#[derive(Clone)]
pub struct Runtime(Environment);

impl Runtime {
    /// The first call loads the library; later ones with the same path share it.
    pub fn load(library: &Path) -> Result<Self, RuntimeError> {
        let path = library.canonicalize().map_err(|source| RuntimeError::LibraryMissing { path: library.to_owned(), source })?;
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, environment)) = loaded.as_ref() {
            if *known == path {
                return Ok(Self(environment.clone()));
            }
            return Err(RuntimeError::OtherLibraryLoaded { loaded: known.clone() });
        }
        let environment = ort::init_from(&path)
            .map_err(|source| RuntimeError::LibraryRefused { path: path.clone(), source })?
            .with_name("anomaly-detector")
            .with_telemetry(false)
            .build()
            .map_err(|e| RuntimeError::StartFailed { path: path.clone(), reason: e.to_string() })?;
        environment.set_log_level(LogLevel::Error);
        *loaded = Some((path, environment.clone()));
        Ok(Self(environment))
    }

    pub(super) fn environment(&self) -> &Environment {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_missing_library_is_named() {
        let error = Runtime::load(Path::new("/nowhere/libonnxruntime.so")).err().unwrap();
        assert!(matches!(error, RuntimeError::LibraryMissing { .. }), "{error:?}");
        assert!(error.to_string().contains("/nowhere/libonnxruntime.so"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_library_is_refused() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"not a library").unwrap();
        // Another test of this process may have loaded the real one already: then this one is refused for that.
        let error = Runtime::load(file.path()).err().unwrap();
        assert!(matches!(error, RuntimeError::LibraryRefused { .. } | RuntimeError::OtherLibraryLoaded { .. }), "{error:?}");
    }
}
