//! Puts a changed model folder in force without a restart. One that is refused, or gone, changes nothing: the model before
//! goes on, and the log and `fieldwatch_model_refused` say why.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use service::Shutdown;
use telemetry::metrics::{GaugeF64, gauge};
use tokio::sync::watch;

use crate::Config;
use crate::adapters::Runtime;
use crate::stages::{Detection, DetectorOperator};

/// Asking is the one way that works alike for folders, mounted volumes and replaced links.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(crate) struct Reload {
    config: Config,
    runtime: Runtime,
    in_force: Arc<DetectorOperator>,
    operators: watch::Sender<Arc<DetectorOperator>>,
    /// What the folder looked like when it was read last: a graph is not hashed every second.
    seen: Option<Stamp>,
    refused: Option<String>,
    refusing: GaugeF64,
}

type Stamp = [(SystemTime, u64); 2];

impl Reload {
    pub(crate) fn new(
        config: Config,
        runtime: Runtime,
        in_force: Arc<DetectorOperator>,
        operators: watch::Sender<Arc<DetectorOperator>>,
    ) -> Self {
        let refusing = gauge("fieldwatch_model_refused", &[]);
        refusing.set(0.0);
        Self { config, runtime, in_force, operators, seen: None, refused: None, refusing }
    }

    pub(crate) async fn run(mut self, shutdown: Shutdown) -> anyhow::Result<()> {
        if self.config.model.folder.is_empty() {
            shutdown.cancelled().await;
            return Ok(());
        }
        while shutdown.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
            let stamp = self.stamp();
            if stamp.is_none() || stamp != self.seen {
                self.seen = stamp;
                self.look();
            }
        }
        Ok(())
    }

    /// When both files changed last, and how long they are; none while one is missing.
    fn stamp(&self) -> Option<Stamp> {
        let folder = PathBuf::from(&self.config.model.folder);
        let of = |name: &str| std::fs::metadata(folder.join(name)).and_then(|file| Ok((file.modified()?, file.len()))).ok();
        Some([of("model.json")?, of("model.onnx")?])
    }

    /// The model in the folder, if it is another than the one in force.
    fn changed(&self) -> anyhow::Result<Option<Detection>> {
        let model = self.config.usable_model()?;
        if model.manifest.model() == self.in_force.model() {
            return Ok(None);
        }
        Ok(Some(self.config.detection(&self.runtime, &model)?))
    }

    fn look(&mut self) {
        match self.changed() {
            Ok(None) => {
                if self.refused.take().is_some() {
                    tracing::info!("the model folder is again what is in force");
                }
            }
            Ok(Some(detection)) => {
                self.refused = None;
                self.in_force = Arc::new(DetectorOperator::new(detection, self.config.lifecycle.forget_after));
                let events::Model { name, version, sha256 } = self.in_force.model();
                tracing::info!(name, version, sha256, "model reloaded");
                self.operators.send_replace(Arc::clone(&self.in_force));
            }
            Err(problem) => {
                let problem = format!("{problem:#}");
                if self.refused.as_ref() != Some(&problem) {
                    let events::Model { name, version, .. } = self.in_force.model();
                    tracing::error!(problem, in_force = format!("{name} {version}"), "model not reloaded: the one before stays in force");
                    self.refused = Some(problem);
                }
            }
        }
        self.refusing.set(f64::from(u8::from(self.refused.is_some())));
    }
}
