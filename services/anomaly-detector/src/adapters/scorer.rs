//! The network: rows of features in, one logit a row out, on one thread.
//!
//! Rows always run in batches of one fixed shape, the last one padded, so a row meets the same kernels however many others
//! come with it; what the kernels could still differ by is rounded away before a logit meets state.

use ort::{
    session::{Session, builder::GraphOptimizationLevel},
    value::{TensorRef, ValueType},
};
use thiserror::Error;

use super::{Manifest, Model, ModelError, Runtime};
use crate::domain::{
    calibration::MOST_SIGNALS,
    detector::round_logit,
    features::{FEATURE_COUNT, FEATURES, Row},
};

/// Rows a run; fewer are padded to it.
pub const BATCH: usize = 16;

#[derive(Debug, Error)]
#[error("the network could not be run: {reason}")]
pub struct InferenceFailed {
    reason: String,
}

/// How much of the evidence a feature accounts for; the shares of one row sum to at most 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contribution {
    pub feature: &'static str,
    pub share: f32,
}

pub struct Scorer {
    session: Session,
    manifest: Manifest,
    input: Vec<f32>,
}

impl Scorer {
    pub fn open(runtime: &Runtime, model: &Model) -> Result<Self, ModelError> {
        let session = session(runtime, model).map_err(|e| ModelError::GraphRefused { reason: e.to_string() })?;
        check_shapes(&session)?;
        let mut scorer = Self { session, manifest: model.manifest.clone(), input: vec![0.0; BATCH * FEATURE_COUNT] };
        // A graph may load and still not run: find out now, not at the first reading.
        scorer.logits(&[[0.0; FEATURE_COUNT]]).map_err(|e| ModelError::GraphRefused { reason: e.reason })?;
        Ok(scorer)
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// One logit a row, in order, rounded.
    pub fn logits(&mut self, rows: &[Row]) -> Result<Vec<f32>, InferenceFailed> {
        let mut logits = Vec::with_capacity(rows.len());
        for batch in rows.chunks(BATCH) {
            let flat = batch.as_flattened();
            self.input[..flat.len()].copy_from_slice(flat);
            self.input[flat.len()..].fill(0.0);
            self.run(batch.len(), &mut logits).map_err(|e| InferenceFailed { reason: e.to_string() })?;
        }
        Ok(logits)
    }

    fn run(&mut self, rows: usize, logits: &mut Vec<f32>) -> ort::Result<()> {
        let input = TensorRef::from_array_view(([BATCH, FEATURE_COUNT], self.input.as_slice()))?;
        let outputs = self.session.run(ort::inputs![input])?;
        let (_, values) = outputs[0].try_extract_tensor::<f32>()?;
        logits.extend(values.iter().take(rows).map(|v| round_logit(*v)));
        Ok(())
    }

    /// What spoke for a row, the strongest first: how far the logit falls when a feature is put back to its usual value, and
    /// what each of the model's signals added to the evidence by itself.
    pub fn contributions(&mut self, row: &Row, signals: &[f32; MOST_SIGNALS]) -> Result<Vec<Contribution>, InferenceFailed> {
        let mut rows = vec![*row; FEATURE_COUNT + 1];
        for (i, usual) in self.manifest.baseline.iter().enumerate() {
            rows[i + 1][i] = *usual;
        }
        let logits = self.logits(&rows)?;
        let mut falls: Vec<f32> = logits[1..].iter().map(|l| (logits[0] - l).max(0.0)).collect();
        for (signal, added) in self.manifest.calibration.signals.iter().zip(signals) {
            falls[signal.feature.0] += added;
        }
        let total = falls.iter().sum::<f32>().max(f32::MIN_POSITIVE);
        let shares = FEATURES.iter().zip(falls).map(|(feature, fall)| Contribution { feature, share: fall / total });
        let mut spoke: Vec<Contribution> = shares.filter(|c| c.share >= 0.05).collect();
        spoke.sort_by(|a, b| b.share.total_cmp(&a.share));
        Ok(spoke)
    }
}

fn session(runtime: &Runtime, model: &Model) -> ort::Result<Session> {
    Session::builder(runtime.environment())?
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        .with_intra_op_spinning(false)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .commit_from_memory(model.graph())
}

fn check_shapes(session: &Session) -> Result<(), ModelError> {
    let [input] = session.inputs() else {
        return Err(ModelError::ShapeMismatch(format!("{} inputs instead of one", session.inputs().len())));
    };
    let width = FEATURE_COUNT as i64;
    match input.dtype() {
        ValueType::Tensor { shape, .. } if matches!(shape[..], [-1, w] if w == width) => {}
        other => return Err(ModelError::ShapeMismatch(format!("its input is {other}, not [rows, {width}] of f32"))),
    }
    match session.outputs() {
        [_] => Ok(()),
        outputs => Err(ModelError::ShapeMismatch(format!("{} outputs instead of one", outputs.len()))),
    }
}
