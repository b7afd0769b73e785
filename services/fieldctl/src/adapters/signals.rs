//! SIGINT and SIGTERM, for commands that end in order.

use tokio::signal::unix::{Signal, SignalKind, signal};

pub(crate) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Resolves when the command is asked to stop.
    pub(crate) async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Does `work` unless asked to stop before it is done: whoever waits for a broker that is away can still be stopped.
    pub(crate) async fn unless_asked<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = self.asked() => None,
        }
    }

    /// Waits until `due`; `true` when asked to stop before. Does not sleep for what is due now.
    pub(crate) async fn asked_before(&mut self, due: tokio::time::Instant) -> bool {
        tokio::select! {
            biased;
            () = self.asked() => true,
            () = tokio::time::sleep_until(due) => false,
        }
    }
}
