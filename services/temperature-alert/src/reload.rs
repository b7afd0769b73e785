//! Puts an edited file of rules in force without a restart. A file that is refused, or gone, changes nothing: the rules
//! before stay, and the log and `fieldwatch_rules_refused` say so.

use std::sync::Arc;
use std::time::Duration;

use service::Shutdown;
use telemetry::metrics::{GaugeF64, gauge};
use tokio::sync::watch;

use crate::config::RulesConfig;
use crate::domain::Rules;
use crate::operator::AlertOperator;

/// Asking is the one way that works alike for files, mounted volumes and replaced links.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(crate) struct Reload {
    config: RulesConfig,
    in_force: Arc<Rules>,
    operators: watch::Sender<Arc<AlertOperator>>,
    /// What was refused last.
    refused: Option<String>,
    loaded: GaugeF64,
    refusing: GaugeF64,
}

impl Reload {
    pub(crate) fn new(config: RulesConfig, in_force: Arc<Rules>, operators: watch::Sender<Arc<AlertOperator>>) -> Self {
        let (loaded, refusing) = (gauge("fieldwatch_rules", &[]), gauge("fieldwatch_rules_refused", &[]));
        loaded.set(in_force.iter().count() as f64);
        refusing.set(0.0);
        Self { config, in_force, operators, refused: None, loaded, refusing }
    }

    pub(crate) async fn run(mut self, shutdown: Shutdown) -> anyhow::Result<()> {
        while shutdown.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
            if !self.config.file.is_empty() {
                self.look();
            }
        }
        Ok(())
    }

    fn look(&mut self) {
        match self.config.load() {
            Ok(rules) if rules == *self.in_force => {
                if self.refused.take().is_some() {
                    tracing::info!("the rules' file is again what is in force");
                }
            }
            Ok(rules) => {
                self.refused = None;
                self.in_force = Arc::new(rules);
                let count = self.in_force.iter().count();
                tracing::info!(count, file = self.config.file, "rules reloaded");
                self.loaded.set(count as f64);
                self.operators.send_replace(Arc::new(AlertOperator::new(Arc::clone(&self.in_force))));
            }
            Err(problem) => {
                if self.refused.as_ref() != Some(&problem) {
                    tracing::error!(problem, "rules not reloaded: those before stay in force");
                    self.refused = Some(problem);
                }
            }
        }
        self.refusing.set(f64::from(u8::from(self.refused.is_some())));
    }
}
