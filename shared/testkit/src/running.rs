use std::time::Duration;

use service::{Health, ServiceConfig, Shutdown, Supervisor, TaskFailed};

use crate::eventually;

/// A service running inside the test, entered by the same door as `main`.
pub struct Running {
    pub health: Health,
    shutdown: Shutdown,
    task: tokio::task::JoinHandle<Result<(), TaskFailed>>,
}

impl Running {
    /// Starts a service's parts; does not wait until it is ready.
    pub async fn start<C: ServiceConfig>(config: C, start: impl AsyncFnOnce(C, &Health, &mut Supervisor) -> service::StartResult) -> Self {
        let (shutdown, health) = (Shutdown::new(), Health::default());
        let mut supervisor = Supervisor::new(shutdown.clone());
        start(config, &health, &mut supervisor).await.unwrap_or_else(|error| panic!("the service does not start: {error:#}"));
        Self { health, shutdown, task: tokio::spawn(supervisor.run()) }
    }

    /// Waits until every part is ready.
    pub async fn ready(&self) {
        eventually("the service is ready", || async { self.health.not_ready().is_empty().then_some(()) }).await;
    }

    /// Drains; the first failure, if any.
    pub async fn stop(self) -> Result<(), TaskFailed> {
        self.shutdown.cancel();
        self.ended().await
    }

    /// Waits until the service ends by itself: its failure.
    pub async fn ended(mut self) -> Result<(), TaskFailed> {
        let ended = tokio::time::timeout(Duration::from_mins(1), &mut self.task).await;
        ended.expect("the service ends").expect("the supervisor does not panic")
    }
}

/// A test that panics must not leave the service's threads running.
impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
