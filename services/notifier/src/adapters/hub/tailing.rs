//! The hub's own loop over notifications.v1.

use std::time::Duration;

use service::{HealthCheck, Shutdown};
use stream::failure::backoff;
use stream::tail::{From, Seen, Tail};
use stream::{Failure, Record};

use super::{Frame, Hub};
use crate::domain::position::Position;

/// Between two signs of life when nothing happens.
const QUIET: Duration = Duration::from_secs(5);

/// A topic that is read from its end on.
pub(super) struct Followed {
    tail: Tail,
    what: &'static str,
}

impl Followed {
    /// The next record, whenever it comes. What cannot be reached is tried again; only what is fatal ends it.
    pub(super) async fn next(&mut self, check: &HealthCheck) -> Result<Record, Failure> {
        let mut failed = 0;
        loop {
            check.beat();
            match tokio::time::timeout(QUIET, self.tail.next()).await {
                Err(_) | Ok(Ok(Seen::End(_))) => {}
                Ok(Ok(Seen::Record(record))) => return Ok(record),
                Ok(Err(failure)) => {
                    let fatal = matches!(failure, Failure::Fatal(_));
                    failure.note(&format!("tailing {}", self.what));
                    if fatal {
                        return Err(failure);
                    }
                    tokio::time::sleep(backoff(failed, 0)).await;
                    failed += 1;
                }
            }
        }
    }
}

impl Hub {
    /// Reads from the topic's end until shutdown. What cannot be reached is tried again.
    pub async fn run(self, check: HealthCheck, shutdown: Shutdown) -> anyhow::Result<()> {
        tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            outcome = self.tail(&check) => Ok(outcome?),
        }
    }

    async fn tail(&self, check: &HealthCheck) -> Result<(), Failure> {
        let mut followed = self.follow(self.shared.topic.clone(), "notifications", check).await?;
        let position = Position::new(followed.tail.offsets().values().copied().collect());
        self.shared.with(|state| state.recent.start(position));
        self.shared.started.send_replace(true);
        check.ready();
        loop {
            let record = followed.next(check).await?;
            self.take(&record, check).await?;
        }
    }

    /// Opens a topic at its end, once it can be reached; `what` it holds is for messages.
    pub(super) async fn follow(&self, topic: String, what: &'static str, check: &HealthCheck) -> Result<Followed, Failure> {
        for attempt in 0.. {
            match self.open_tail(topic.clone(), From::End).await {
                Err(failure @ Failure::Transient(_)) => {
                    failure.note(&format!("opening {what}"));
                    check.not_ready(failure.to_string());
                    tokio::time::sleep(backoff(attempt, 0)).await;
                }
                opened => return opened.map(|tail| Followed { tail, what }),
            }
        }
        Err(Failure::fatal(format!("{what} cannot be opened")))
    }

    pub(super) async fn open_tail(&self, topic: String, from: From) -> Result<Tail, Failure> {
        let kafka = self.shared.kafka.clone();
        tokio::task::spawn_blocking(move || Tail::open(&kafka, crate::NAME, &topic, &from)).await.map_err(Failure::fatal)?
    }

    /// Publishes a record; one that no stream can show is passed over.
    async fn take(&self, record: &Record, check: &HealthCheck) -> Result<(), Failure> {
        for attempt in 0.. {
            let frame = match Frame::read(&self.shared.registry, record).await {
                Ok(frame) => Some(frame),
                Err(failure @ Failure::Transient(_)) => {
                    failure.note("reading a notification");
                    check.beat();
                    tokio::time::sleep(backoff(attempt, 0)).await;
                    continue;
                }
                Err(failure @ Failure::Poison(_)) => {
                    failure.note("reading a notification");
                    None
                }
                Err(failure) => return Err(failure),
            };
            self.publish(record.position.partition, record.position.offset, frame);
            break;
        }
        Ok(())
    }
}
