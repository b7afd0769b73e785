//! Runs the parts of a service until it has to stop: the first failure, or a signal, drains all of them.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::Shutdown;

/// Parts that have not ended this long after the stop are given up: the process has ended within 25 s.
const GRACE: Duration = Duration::from_secs(22);

/// Why the service stopped: one part's failure, in one line.
#[derive(Debug, thiserror::Error)]
#[error("{task}: {problem}")]
pub struct TaskFailed {
    pub task: String,
    pub problem: String,
}

type Ended = (String, anyhow::Result<()>);

/// The parts of a running service. Each gets the same [`Shutdown`] and ends soon after it is cancelled; a part that
/// ends earlier, well or badly, stops the service.
pub struct Supervisor {
    shutdown: Shutdown,
    tasks: JoinSet<Ended>,
}

impl Supervisor {
    pub fn new(shutdown: Shutdown) -> Self {
        Self { shutdown, tasks: JoinSet::new() }
    }

    pub fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    pub fn spawn(&mut self, name: impl Into<String>, task: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        let name = name.into();
        self.tasks.spawn(async move { (name, task.await) });
    }

    /// Runs a blocking loop on a thread of its own.
    pub fn spawn_thread(&mut self, name: impl Into<String>, work: impl FnOnce() -> anyhow::Result<()> + Send + 'static) {
        let name = name.into();
        self.tasks.spawn_blocking(move || (name, work()));
    }

    /// Waits for the stop, then for every part to drain. The first failure is the result.
    pub async fn run(mut self) -> Result<(), TaskFailed> {
        let mut result = Ok(());
        while !self.shutdown.is_cancelled() {
            tokio::select! {
                () = self.shutdown.cancelled() => {}
                ended = self.tasks.join_next() => {
                    let Some(ended) = ended else { break };
                    let (task, outcome) = outcome(ended);
                    let problem = outcome.err().map_or_else(|| "ended by itself".to_owned(), |error| format!("{error:#}"));
                    if !self.shutdown.is_cancelled() {
                        result = Err(TaskFailed { task, problem });
                        self.shutdown.cancel();
                    }
                }
            }
        }
        match tokio::time::timeout(GRACE, self.drain(result)).await {
            Ok(result) => result,
            Err(_) => Err(TaskFailed { task: "drain".into(), problem: format!("not finished after {GRACE:?}") }),
        }
    }

    async fn drain(mut self, mut result: Result<(), TaskFailed>) -> Result<(), TaskFailed> {
        while let Some(ended) = self.tasks.join_next().await {
            let (task, outcome) = outcome(ended);
            if let (Err(error), Ok(())) = (outcome, &result) {
                result = Err(TaskFailed { task, problem: format!("{error:#}") });
            }
        }
        result
    }
}

fn outcome(ended: Result<Ended, tokio::task::JoinError>) -> Ended {
    ended.unwrap_or_else(|error| ("task".into(), Err(anyhow::anyhow!("{error}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failing_part_stops_the_others_and_is_the_result() {
        let mut supervisor = Supervisor::new(Shutdown::new());
        let shutdown = supervisor.shutdown();
        supervisor.spawn("patient", async move {
            shutdown.cancelled().await;
            Ok(())
        });
        supervisor.spawn("broken", async { anyhow::bail!("no such topic") });
        let failed = supervisor.run().await.unwrap_err();
        assert_eq!(failed.to_string(), "broken: no such topic");
    }

    #[tokio::test]
    async fn a_stop_drains_every_part() {
        let mut supervisor = Supervisor::new(Shutdown::new());
        let shutdown = supervisor.shutdown();
        let stop = shutdown.clone();
        supervisor.spawn("part", async move {
            shutdown.cancelled().await;
            Ok(())
        });
        stop.cancel();
        supervisor.run().await.unwrap();
    }

    #[tokio::test]
    async fn a_part_that_ends_by_itself_is_a_failure() {
        let mut supervisor = Supervisor::new(Shutdown::new());
        supervisor.spawn("consumer", async { Ok(()) });
        assert_eq!(supervisor.run().await.unwrap_err().to_string(), "consumer: ended by itself");
    }
}
