//! Source: messages from outside become records; each message is acknowledged once Kafka has acknowledged all of its
//! records, in the order the messages came.
//!
//! In flight is bounded in bytes: [`Source::accept`] waits when the bound is reached.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::producer::Delivery;
use crate::{Failure, OutRecord, Publisher};

/// How a message is acknowledged to its sender.
pub trait Acknowledge: Send + 'static {
    fn acknowledge(self) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// The taking side.
pub struct Source<A> {
    publisher: Publisher,
    in_flight: Arc<Semaphore>,
    limit: usize,
    pending: mpsc::Sender<Pending<A>>,
}

/// The acknowledging side; run it as a task.
pub struct Releaser<A> {
    pending: mpsc::Receiver<Pending<A>>,
    /// A producer that is dropped gives up what it has queued: it lives until the last acknowledgement.
    _publisher: Publisher,
}

struct Pending<A> {
    deliveries: Vec<Delivery>,
    ack: A,
    _bytes: OwnedSemaphorePermit,
}

/// A source over `publisher` with at most `limit` bytes and `messages` messages in flight.
pub fn source<A: Acknowledge>(publisher: Publisher, limit: usize, messages: usize) -> (Source<A>, Releaser<A>) {
    let (sender, receiver) = mpsc::channel(messages);
    let limit = limit.clamp(1, Semaphore::MAX_PERMITS);
    let kept = publisher.clone();
    let source = Source { publisher, in_flight: Arc::new(Semaphore::new(limit)), limit, pending: sender };
    (source, Releaser { pending: receiver, _publisher: kept })
}

impl<A: Acknowledge> Source<A> {
    /// Takes a message of `bytes` that became `records` (none: it is acknowledged when its turn comes). Waits while too
    /// much is in flight. A record Kafka refuses to queue is Poison: nothing of the message was acknowledged.
    pub async fn accept(&self, records: Vec<OutRecord>, bytes: usize, ack: A) -> Result<(), Failure> {
        let wanted = u32::try_from(bytes.clamp(1, self.limit)).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.in_flight).acquire_many_owned(wanted).await.map_err(Failure::fatal)?;
        let mut deliveries = Vec::with_capacity(records.len());
        for record in records {
            deliveries.push(self.publisher.enqueue_when_room(record).await?);
        }
        let pending = Pending { deliveries, ack, _bytes: permit };
        self.pending.send(pending).await.map_err(|_| Failure::fatal("acknowledging has stopped"))
    }

    /// Bytes taken and not yet acknowledged.
    pub fn bytes_in_flight(&self) -> usize {
        self.limit - self.in_flight.available_permits()
    }
}

impl<A: Acknowledge> Releaser<A> {
    /// Acknowledges in order until the source is dropped and everything taken is acknowledged. A delivery that fails
    /// for good ends it: its message stays unacknowledged and comes again.
    pub async fn run(mut self) -> Result<(), Failure> {
        while let Some(pending) = self.pending.recv().await {
            for delivery in pending.deliveries {
                delivery.await.map_err(|failure| Failure::fatal(format!("a record was not delivered: {failure}")))?;
            }
            pending.ack.acknowledge().await?;
        }
        Ok(())
    }
}
