//! Tells open streams what becomes of commands: command-results.v1 from its end on, by each replica for itself.
//!
//! Guarantees: nothing is kept and nothing repeated; who missed it asks for the commands. What cannot be read is passed over.

use std::sync::Arc;

use events::{CommandResult, Event as _};
use service::{HealthCheck, Shutdown};
use stream::{Failure, Record, decode};

use super::{Hub, Live};
use crate::adapters::command_document::CommandNews;

impl Hub {
    /// Reads from the topic's end until shutdown. What cannot be reached is tried again.
    pub async fn run_results(self, check: HealthCheck, shutdown: Shutdown) -> anyhow::Result<()> {
        tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            outcome = self.tail_results(&check) => Ok(outcome?),
        }
    }

    async fn tail_results(&self, check: &HealthCheck) -> Result<(), Failure> {
        let topic = self.shared.kafka.prefixed(CommandResult::SCHEMA.topic);
        let mut followed = self.follow(topic, "results of commands", check).await?;
        check.ready();
        loop {
            let record = followed.next(check).await?;
            self.tell_result(&record).await?;
        }
    }

    /// A hint that cannot be read now is none: only what is wrong with the process itself ends this.
    async fn tell_result(&self, record: &Record) -> Result<(), Failure> {
        let value = record.value.as_deref().unwrap_or_default();
        let result: CommandResult = match decode::decode(&self.shared.registry, value).await {
            Ok(result) => result,
            Err(failure @ Failure::Fatal(_)) => return Err(failure),
            Err(failure) => {
                failure.note("reading a result of a command");
                return Ok(());
            }
        };
        let tenant: Arc<str> = result.tenant.as_str().into();
        if !self.shared.with(|state| state.watched.contains_key(&tenant)) {
            return Ok(());
        }
        let data = serde_json::to_vec(&CommandNews::from(&result)).map_err(Failure::fatal)?.into();
        // Nobody listens: fine.
        let _ = self.shared.live.send(Live::Command { tenant, device_id: result.device_id.into(), data });
        Ok(())
    }
}
