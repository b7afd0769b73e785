//! Configuration; `config.toml` documents every key.

mod group;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use service::{AdminConfig, Mistake, ServiceConfig, Shared};
use stream::operator::OperatorConfig;
use stream::{KafkaConfig, RegistryConfig};
use telemetry::{LogConfig, TelemetryConfig};

use crate::adapters::{Manifest, Model, ModelError, Runtime, Scorer};
use crate::domain::aggregates::{Rules, WindowSpec};
use crate::domain::lifecycle::Thresholds;
use crate::domain::sensitivity::{Entry, Sensitivity};
use crate::stages::Detection;

pub use group::GroupConfig;

pub const DEFAULTS: &str = include_str!("../../config.toml");

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub kafka: KafkaConfig,
    pub registry: RegistryConfig,
    pub telemetry: TelemetryConfig,
    pub log: LogConfig,
    pub admin: AdminConfig,
    pub model: ModelConfig,
    pub lifecycle: LifecycleConfig,
    pub sensitivity: Vec<SensitivityConfig>,
    pub aggregates: AggregatesConfig,
    pub group: GroupConfig,
    pub operator: OperatorConfig,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    pub folder: String,
    pub runtime_library: PathBuf,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LifecycleConfig {
    pub close_below: f32,
    pub close_after: u32,
    #[serde(with = "humantime_serde")]
    pub dead_time: Duration,
    #[serde(with = "humantime_serde")]
    pub forget_after: Duration,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SensitivityConfig {
    pub devices: Vec<String>,
    #[serde(default)]
    pub metrics: Vec<String>,
    pub open_above: f32,
    pub close_below: Option<f32>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AggregatesConfig {
    pub enabled: bool,
    pub windows: Vec<WindowConfig>,
    #[serde(with = "humantime_serde")]
    pub late_limit: Duration,
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowConfig {
    #[serde(with = "humantime_serde")]
    pub length: Duration,
    #[serde(with = "humantime_serde")]
    pub every: Duration,
}

impl AggregatesConfig {
    /// What is wrong with the windows, otherwise.
    pub fn rules(&self) -> Result<Rules, String> {
        Rules::new(self.windows.iter().map(|window| WindowSpec::new(window.length, window.every)).collect(), self.late_limit)
    }
}

impl ModelConfig {
    pub fn open(&self) -> Result<Model, ModelError> {
        Model::open((!self.folder.is_empty()).then(|| Path::new(&self.folder)))
    }
}

impl Config {
    /// When anomalies of this model open and close, device by device.
    pub fn sensitivity(&self, manifest: &Manifest) -> Sensitivity {
        let LifecycleConfig { close_below, close_after, dead_time, .. } = self.lifecycle;
        let dead_time_micros = i64::try_from(dead_time.as_micros()).unwrap_or(i64::MAX);
        let usual = Thresholds { open_above: manifest.threshold, close_below, close_after, dead_time_micros };
        Sensitivity::new(usual, self.sensitivity.iter().map(SensitivityConfig::entry).collect())
    }

    /// A model with the thresholds that are configured for it.
    pub fn detection(&self, runtime: &Runtime, model: &Model) -> Result<Detection, ModelError> {
        let scorer = Scorer::open(runtime, model)?;
        let sensitivity = self.sensitivity(scorer.manifest());
        Ok(Detection::new(scorer, sensitivity))
    }

    /// The model that is configured, if anomalies of it can close as they are told to.
    pub(crate) fn usable_model(&self) -> anyhow::Result<Model> {
        let model = self.model.open()?;
        match self.close_below_problem(&model.manifest) {
            Some(problem) => anyhow::bail!("lifecycle.close_below: {problem}"),
            None => Ok(model),
        }
    }

    fn close_below_problem(&self, manifest: &Manifest) -> Option<String> {
        let LifecycleConfig { close_below, .. } = self.lifecycle;
        (close_below > manifest.threshold).then(|| format!("{close_below} is above the threshold that opens ({})", manifest.threshold))
    }

    fn check_sensitivity(&self, mistakes: &mut Vec<Mistake>) {
        for (i, entry) in self.sensitivity.iter().enumerate() {
            let Entry { devices, open_above, close_below, .. } = entry.entry();
            let mut wrong = |key: &str, problem: String| mistakes.push(Mistake::new(format!("sensitivity[{i}].{key}"), problem));
            if devices.is_empty() {
                wrong("devices", "names no device; [\"*\"] means all".to_owned());
            }
            if !(open_above > 0.0 && open_above <= 1.0) {
                wrong("open_above", format!("{open_above} is not above 0 and at most 1"));
            } else if !(0.0..=open_above).contains(&close_below) {
                wrong("close_below", format!("{close_below} is not between 0 and the threshold that opens ({open_above})"));
            }
        }
    }
}

impl SensitivityConfig {
    fn entry(&self) -> Entry {
        let close_below = self.close_below.unwrap_or(self.open_above / 2.0);
        Entry { devices: self.devices.clone(), metrics: self.metrics.clone(), open_above: self.open_above, close_below }
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
            Ok(model) => {
                let problem = self.close_below_problem(&model.manifest);
                mistakes.extend(problem.map(|problem| Mistake::new("lifecycle.close_below", problem)));
            }
        }
        self.check_sensitivity(&mut mistakes);
        if let Err(problem) = self.aggregates.rules() {
            mistakes.push(Mistake::new("aggregates.windows", problem));
        }
        self.group.check(&self.aggregates.windows, &mut mistakes);
        mistakes
    }
}

#[cfg(test)]
mod tests {
    use service::config::{Layers, load};

    use super::*;

    fn config(file: &str) -> Result<Config, Vec<String>> {
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(path.path(), file).unwrap();
        let layers = Layers { service: "anomaly-detector", defaults: DEFAULTS, file: Some(path.path()), environment: Vec::new() };
        load(&layers).map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn thresholds_come_from_the_model_the_lifecycle_and_the_entry_that_names_the_device() {
        let file = "[lifecycle]\ndead_time = \"5m\"\n[[sensitivity]]\ndevices = [\"oven-*\"]\nopen_above = 0.96\n";
        let config = config(file).unwrap();
        let manifest = config.model.open().unwrap().manifest;
        let sensitivity = config.sensitivity(&manifest);
        let usual = Thresholds { open_above: manifest.threshold, close_below: 0.4, close_after: 5, dead_time_micros: 300_000_000 };
        assert_eq!(sensitivity.of("sensor", "temperature"), usual);
        assert_eq!(sensitivity.of("oven-1", "temperature"), Thresholds { open_above: 0.96, close_below: 0.48, ..usual });
    }

    #[test]
    fn every_mistake_of_the_sensitivity_is_named() {
        let file = "[lifecycle]\nclose_below = 0.9\n[[sensitivity]]\ndevices = []\nopen_above = 1.5\n\
                    [[sensitivity]]\ndevices = [\"a\"]\nopen_above = 0.5\nclose_below = 0.6\n";
        let mistakes = config(file).unwrap_err();
        let keys: Vec<_> = mistakes.iter().filter_map(|mistake| mistake.split(": ").next()).collect();
        assert_eq!(keys, ["lifecycle.close_below", "sensitivity[0].devices", "sensitivity[0].open_above", "sensitivity[1].close_below"]);
    }
}
