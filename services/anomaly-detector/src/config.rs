//! Configuration; `config.toml` documents every key.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use service::{AdminConfig, Mistake, ServiceConfig, Shared};
use stream::operator::OperatorConfig;
use stream::{KafkaConfig, RegistryConfig};
use telemetry::{LogConfig, TelemetryConfig};

use crate::adapters::{Manifest, Model, ModelError};
use crate::domain::lifecycle::Thresholds;

pub const DEFAULTS: &str = include_str!("../config.toml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub kafka: KafkaConfig,
    pub registry: RegistryConfig,
    pub telemetry: TelemetryConfig,
    pub log: LogConfig,
    pub admin: AdminConfig,
    pub model: ModelConfig,
    pub operator: OperatorConfig,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    pub folder: String,
    pub runtime_library: PathBuf,
    pub close_below: f32,
    pub close_after: u32,
}

impl ModelConfig {
    pub fn open(&self) -> Result<Model, ModelError> {
        Model::open((!self.folder.is_empty()).then(|| Path::new(&self.folder)))
    }

    /// When an anomaly of this model opens and closes.
    pub fn thresholds(&self, manifest: &Manifest) -> Thresholds {
        Thresholds { open_above: manifest.threshold, close_below: self.close_below, close_after: self.close_after }
    }
}

impl ServiceConfig for Config {
    fn shared(&self) -> Shared<'_> {
        Shared { telemetry: &self.telemetry, log: &self.log, admin: &self.admin }
    }

    fn check(&self) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        match self.model.open() {
            Err(problem) => mistakes.push(Mistake::new("model.folder", problem.to_string())),
            Ok(model) if self.model.close_below > model.manifest.threshold => {
                let problem = format!("{} is above the threshold that opens ({})", self.model.close_below, model.manifest.threshold);
                mistakes.push(Mistake::new("model.close_below", problem));
            }
            Ok(_) => {}
        }
        mistakes
    }
}
