//! A model folder: `model.onnx` and the `model.json` that describes it.
//!
//! Read and checked as a whole: the graph must have the digest the description names, and the description must list exactly
//! the features this build computes, in this order. Anything else is refused; a model is never scored with other features.

use std::{
    borrow::Cow,
    fmt::Write,
    io,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::domain::{calibration::Prior, features::FEATURES};

#[derive(Debug, Error)]
pub enum ModelError {
    #[error("cannot read {}", .path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("model.json is not a model description")]
    ManifestInvalid(#[source] serde_json::Error),
    #[error("model.json: {0}")]
    ManifestInconsistent(&'static str),
    #[error("model.onnx does not belong to model.json: its sha256 is {actual}, not {expected}")]
    DigestMismatch { expected: String, actual: String },
    #[error("the model was made for other features than this build computes: feature {index} is {theirs:?} there and {ours:?} here")]
    FeaturesMismatch { index: usize, theirs: String, ours: String },
    #[error("the ONNX Runtime refuses model.onnx: {reason}")]
    GraphRefused { reason: String },
    #[error("model.onnx has the wrong shape: {0}")]
    ShapeMismatch(String),
}

/// `model.json`, as far as serving needs it.
#[derive(Debug, Clone, Deserialize)]
pub struct Manifest {
    pub name: String,
    pub version: String,
    /// Of `model.onnx`, in lower-case hexadecimal.
    pub sha256: String,
    pub features: Vec<String>,
    /// Of the feature names joined by line feeds.
    pub features_sha256: String,
    /// The score above which an anomaly opens.
    pub threshold: f32,
    pub calibration: Prior,
    /// What each feature usually is; contributions are measured against it.
    pub baseline: Vec<f32>,
}

impl Manifest {
    /// As events name it.
    pub fn model(&self) -> events::Model {
        events::Model { name: self.name.clone(), version: self.version.clone(), sha256: self.sha256.clone() }
    }
}

#[derive(Debug, Clone)]
pub struct Model {
    pub manifest: Manifest,
    graph: Cow<'static, [u8]>,
}

impl Model {
    /// The model this build was made with.
    pub fn embedded() -> Result<Self, ModelError> {
        let graph = include_bytes!("../../model/model.onnx");
        Self::check(include_bytes!("../../model/model.json"), Cow::Borrowed(graph))
    }

    pub fn read(folder: &Path) -> Result<Self, ModelError> {
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path).map_err(|source| ModelError::Unreadable { path, source })
        };
        Self::check(&read("model.json")?, Cow::Owned(read("model.onnx")?))
    }

    /// From `folder`, or the embedded one when none is given.
    pub fn open(folder: Option<&Path>) -> Result<Self, ModelError> {
        folder.map_or_else(Self::embedded, Self::read)
    }

    fn check(manifest: &[u8], graph: Cow<'static, [u8]>) -> Result<Self, ModelError> {
        let manifest: Manifest = serde_json::from_slice(manifest).map_err(ModelError::ManifestInvalid)?;
        let actual = sha256(&graph);
        if actual != manifest.sha256 {
            return Err(ModelError::DigestMismatch { expected: manifest.sha256, actual });
        }
        manifest.check()?;
        Ok(Self { manifest, graph })
    }

    pub(super) fn graph(&self) -> &[u8] {
        &self.graph
    }
}

impl Manifest {
    fn check(&self) -> Result<(), ModelError> {
        let longest = FEATURES.len().max(self.features.len());
        let name = |list: &mut dyn Iterator<Item = String>, i| list.nth(i).unwrap_or_else(|| "nothing".to_owned());
        for index in 0..longest {
            let theirs = name(&mut self.features.iter().cloned(), index);
            let ours = name(&mut FEATURES.iter().map(ToString::to_string), index);
            if theirs != ours {
                return Err(ModelError::FeaturesMismatch { index, theirs, ours });
            }
        }
        if self.features_sha256 != sha256(self.features.join("\n").as_bytes()) {
            return Err(ModelError::ManifestInconsistent("features_sha256 is not the digest of the features listed"));
        }
        if self.baseline.len() != FEATURES.len() || !self.baseline.iter().all(|v| v.is_finite()) {
            return Err(ModelError::ManifestInconsistent("baseline must hold one finite number per feature"));
        }
        if !(self.threshold > 0.0 && self.threshold < 1.0) {
            return Err(ModelError::ManifestInconsistent("threshold must lie between 0 and 1"));
        }
        if !self.calibration.is_usable() {
            return Err(ModelError::ManifestInconsistent(
                "calibration needs a finite open_evidence, and at most four signals; weights are 0 to 10",
            ));
        }
        Ok(())
    }
}

/// In lower-case hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn description() -> Value {
        serde_json::from_slice(include_bytes!("../../model/model.json")).unwrap()
    }

    fn check(manifest: &Value) -> Result<Model, ModelError> {
        Model::check(manifest.to_string().as_bytes(), Cow::Borrowed(include_bytes!("../../model/model.onnx")))
    }

    #[test]
    fn the_embedded_model_belongs_to_this_build() {
        let model = Model::embedded().unwrap();
        assert_eq!(model.manifest.features, FEATURES);
    }

    #[test]
    fn a_graph_of_another_digest_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("model.json"), description().to_string()).unwrap();
        std::fs::write(folder.path().join("model.onnx"), b"something else").unwrap();
        let error = Model::read(folder.path()).unwrap_err();
        assert!(matches!(error, ModelError::DigestMismatch { .. }), "{error}");
    }

    #[test]
    fn other_features_are_refused_and_the_first_difference_is_named() {
        let mut manifest = description();
        manifest["features"][3] = json!("z_lang");
        let error = check(&manifest).unwrap_err();
        assert!(error.to_string().contains("feature 3 is \"z_lang\" there and \"z_long\" here"), "{error}");

        let mut manifest = description();
        manifest["features"].as_array_mut().unwrap().pop();
        let error = check(&manifest).unwrap_err();
        assert!(matches!(error, ModelError::FeaturesMismatch { .. }), "{error}");
    }

    #[test]
    fn an_inconsistent_description_is_refused() {
        for (field, value) in [("features_sha256", json!("00")), ("baseline", json!([1.0])), ("threshold", json!(1.5))] {
            let mut manifest = description();
            manifest[field] = value;
            let error = check(&manifest).unwrap_err();
            assert!(matches!(error, ModelError::ManifestInconsistent(_)), "{field}: {error}");
        }
        let mut manifest = description();
        manifest["calibration"]["signals"] = json!([{"feature": "z_12", "weight": -1.0}]);
        let error = check(&manifest).unwrap_err();
        assert!(matches!(error, ModelError::ManifestInconsistent(_)), "{error}");
        assert!(matches!(check(&json!({"name": "x"})).unwrap_err(), ModelError::ManifestInvalid(_)));
    }

    #[test]
    fn a_folder_without_a_model_names_the_missing_file() {
        let folder = tempfile::tempdir().unwrap();
        let error = Model::read(folder.path()).unwrap_err();
        assert!(error.to_string().contains("model.json"), "{error}");
    }
}
