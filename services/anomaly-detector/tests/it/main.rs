//! The detector as a whole, with the network and the real ONNX Runtime.
//!
//! `ANOMALY_DETECTOR__MODEL__RUNTIME_LIBRARY` must name the runtime's library: these tests fail without it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test says what it measured, and stops by panicking"
)]

mod aggregates;
mod chaos;
mod cli;
mod detection;
mod drift;
mod driver;
mod explain;
mod group;
mod model;
mod network;
mod reload;
mod series;
mod stream;

use std::path::PathBuf;

use anomaly_detector::adapters::{Model, Runtime, Scorer};

pub(crate) const LIBRARY_VARIABLE: &str = "ANOMALY_DETECTOR__MODEL__RUNTIME_LIBRARY";

pub(crate) fn library() -> PathBuf {
    match std::env::var_os(LIBRARY_VARIABLE) {
        Some(path) => path.into(),
        None => panic!("set {LIBRARY_VARIABLE} to the ONNX Runtime library (libonnxruntime.so, 1.29 or newer) to run this test"),
    }
}

pub(crate) fn scorer() -> Scorer {
    Scorer::open(&Runtime::load(&library()).unwrap(), &Model::embedded().unwrap()).unwrap()
}
