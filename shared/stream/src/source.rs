//! Source: messages from outside become records; each is acknowledged to its sender once Kafka has acknowledged all of its
//! records or, with Kafka away and a spool configured, once it is on disk. Acknowledgements are in the order of arrival.
//!
//! Guarantees: records of one key reach Kafka in the order their messages came, through the spool too: whatever came
//! while something waits on disk goes behind it. In flight is bounded in bytes and in records: [`Source::accept`] waits
//! at the bound, and before the first record of a partition is with Kafka. Refuses: to acknowledge while Kafka is away and
//! the spool full; to drop a message somebody waits for.

mod drain;
mod keeper;
mod live;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

pub use keeper::{Keeper, SourceStatus};
use live::{Live, Sending};

use crate::producer::Delivery;
use crate::spool::Spool;
use crate::{Failure, KafkaConfig, OutRecord, Poison};

/// What a record in the hands of Kafka's client takes, however small it is: its headers and bookkeeping. So many fewer
/// records than bytes may be under way.
const RECORD_BYTES: usize = 2 << 10;
/// Between two tries when Kafka's client has no room.
const FOR_ROOM: Duration = Duration::from_millis(2);

/// What comes from outside.
pub trait Message: Send + Sync + Sized + 'static {
    /// What it counts against the bytes in flight.
    fn size(&self) -> usize;

    /// Nobody waits for its acknowledgement: it may be dropped where there is no room, and is counted.
    fn is_best_effort(&self) -> bool;

    /// As it is kept on disk.
    fn to_bytes(&self) -> Result<Vec<u8>, Failure>;

    /// `None`: these are no message's bytes.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

/// Turns messages into records. The failures it returns end the source: what is wrong with a message becomes a record.
pub trait Reader: Send + 'static {
    type Message: Message;
    /// What accompanies a message's records until Kafka has them.
    type Trail: Trail;

    fn read(&mut self, message: &Self::Message) -> Result<(Vec<OutRecord>, Self::Trail), Failure>;

    /// The record instead, where Kafka will not have what was read.
    fn refused(&mut self, message: &Self::Message, poison: &Poison) -> (OutRecord, Self::Trail);
}

pub trait Trail: Send + 'static {
    /// Kafka has all records.
    fn delivered(self);
}

/// How a message is acknowledged to its sender.
pub trait Acknowledge: Send + 'static {
    fn acknowledge(self);
}

/// How a source keeps what Kafka does not take.
pub struct Keeping {
    pub spool: Spool,
    /// Kafka is away once the oldest message has waited for it this long.
    pub away_after: Duration,
}

/// The taking side.
pub struct Source<R: Reader, A> {
    live: Arc<Mutex<Option<Live<R>>>>,
    in_flight: Arc<Semaphore>,
    limit: usize,
    spools: bool,
    arrivals: mpsc::UnboundedSender<Arrival<R, A>>,
}

/// A message on its way, in the order of arrival.
struct Arrival<R: Reader, A> {
    message: R::Message,
    ack: A,
    /// `None`: not given to Kafka.
    sent: Option<Sent<R::Trail>>,
    _bytes: OwnedSemaphorePermit,
}

struct Sent<T> {
    deliveries: VecDeque<Delivery>,
    trail: T,
    at: Instant,
}

/// A source with at most `limit` bytes in flight, and what keeps it: run that as a task.
pub fn source<R: Reader, A: Acknowledge>(
    kafka: &KafkaConfig,
    client_id: &'static str,
    limit: usize,
    keeping: Option<Keeping>,
) -> (Source<R, A>, Keeper<R, A>) {
    let (arrivals, arrived) = mpsc::unbounded_channel();
    let limit = limit.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
    let live = Arc::new(Mutex::new(None));
    let source = Source { live: Arc::clone(&live), in_flight: Arc::new(Semaphore::new(limit)), limit, spools: keeping.is_some(), arrivals };
    let (spool, away_after) = keeping.map(|keeping| (keeping.spool, keeping.away_after)).unzip();
    let most_records = (limit / RECORD_BYTES).max(1_000);
    let status = watch::Sender::new(SourceStatus { spooling: spool.is_some(), ..SourceStatus::default() });
    (source, Keeper { live, arrived, spool, away_after, kafka: kafka.clone(), client_id, most_records, status })
}

impl<T: Trail> Sent<T> {
    /// Waits until Kafka has all records. Can be dropped and called again.
    async fn confirmed(&mut self) -> Result<(), Failure> {
        while let Some(delivery) = self.deliveries.front_mut() {
            let report = delivery.await;
            self.deliveries.pop_front();
            report?;
        }
        Ok(())
    }
}

impl<R: Reader, A: Acknowledge> Source<R, A> {
    /// Takes a message. Waits while too much is in flight.
    pub async fn accept(&self, message: R::Message, ack: A) -> Result<(), Failure> {
        let wanted = message.size().clamp(1, self.limit) as u32;
        let bytes = Arc::clone(&self.in_flight).acquire_many_owned(wanted).await.map_err(Failure::fatal)?;
        let mut arrival = Arrival { message, ack, sent: None, _bytes: bytes };
        let mut sending = None;
        while let Some(refused) = self.offer(arrival, &mut sending)? {
            arrival = refused;
            tokio::time::sleep(FOR_ROOM).await;
        }
        Ok(())
    }

    /// Sends and hands over in one, under the lock of the change to the spool and back: nothing is sent past what waits on
    /// disk, and nothing is left for the disk once the keeper has found it empty. Returns the message when it has to wait.
    fn offer(&self, mut arrival: Arrival<R, A>, sending: &mut Option<Sending<R::Trail>>) -> Result<Option<Arrival<R, A>>, Failure> {
        let mut live = live::lock(&self.live);
        arrival.sent = match &mut *live {
            Some(live) => live.send(&arrival.message, sending)?,
            None => None,
        };
        if arrival.sent.is_none() && (live.is_some() || !self.spools) {
            return Ok(Some(arrival));
        }
        self.arrivals.send(arrival).map_err(|_| Failure::fatal("acknowledging has stopped"))?;
        Ok(None)
    }

    /// Bytes taken and not yet acknowledged.
    pub fn bytes_in_flight(&self) -> usize {
        self.limit - self.in_flight.available_permits()
    }
}
