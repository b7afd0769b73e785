//! Follows every message to its acknowledgement, in the order of arrival.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout_at;

use crate::source::drain::Drain;
use crate::source::live::{self, Live};
use crate::source::{Acknowledge, Arrival, FOR_ROOM, Reader, Trail as _};
use crate::spool::Spool;
use crate::{Failure, KafkaConfig};

/// What a source keeps on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceStatus {
    /// Messages go to disk, because Kafka is away or has not caught up.
    pub spooling: bool,
    /// The disk takes nothing more: nothing is acknowledged.
    pub full: bool,
    pub messages: u64,
    pub bytes: u64,
    /// How long the oldest has waited.
    pub age: Duration,
    /// Messages nobody waited for that found no room, since the start.
    pub dropped: u64,
}

/// The acknowledging side; run it as a task.
pub struct Keeper<R: Reader, A> {
    pub(super) live: Arc<Mutex<Option<Live<R>>>>,
    pub(super) arrived: mpsc::UnboundedReceiver<Arrival<R, A>>,
    pub(super) spool: Option<Spool>,
    pub(super) away_after: Option<Duration>,
    pub(super) kafka: KafkaConfig,
    pub(super) client_id: &'static str,
    /// With Kafka's client at a time, from memory and from disk alike.
    pub(super) most_records: usize,
    pub(super) status: watch::Sender<SourceStatus>,
}

/// How a phase ended.
pub(super) enum Left<R: Reader, A> {
    /// The source is gone, and with it all that had to be acknowledged.
    Closed,
    /// Kafka does not take this message, nor what came after it.
    Away(Arrival<R, A>),
    CaughtUp,
}

impl<R: Reader, A: Acknowledge> Keeper<R, A> {
    pub fn status(&self) -> watch::Receiver<SourceStatus> {
        self.status.subscribe()
    }

    /// Acknowledges until the source is dropped. Until `reader` is there, messages go to the spool; where there is none,
    /// none is taken. Without a spool a delivery that fails for good ends it: its message stays unacknowledged.
    pub async fn run(mut self, reader: impl Future<Output = Result<R, Failure>> + Send) -> Result<(), Failure> {
        let (kafka, client_id, most_records) = (self.kafka.clone(), self.client_id, self.most_records);
        let mut connecting: BoxFuture<'_, _> = async move { Live::connect(reader.await?, &kafka, client_id, most_records) }.boxed();
        let mut drain = self.spool.take().map(Drain::new);
        let mut first = None;
        loop {
            match &mut drain {
                None => tokio::select! {
                    connected = &mut connecting => *live::lock(&self.live) = Some(connected?),
                    // Nothing is taken yet: the source is gone.
                    _ = self.arrived.recv() => return Ok(()),
                },
                Some(drain) => match self.catch_up(drain, first.take(), connecting).await? {
                    Left::CaughtUp => {}
                    Left::Closed | Left::Away(_) => return Ok(()),
                },
            }
            match self.confirm_all().await? {
                Left::Away(arrival) => {
                    connecting = self.reconnected();
                    first = Some(arrival);
                }
                Left::Closed | Left::CaughtUp => return Ok(()),
            }
        }
    }

    /// Takes the right to send from the source; gives up all that is under way.
    fn reconnected<'a>(&self) -> BoxFuture<'a, Result<Live<R>, Failure>> {
        let purged = live::lock(&self.live).take().map(Live::purge);
        self.reconnect(purged)
    }

    async fn confirm_all(&mut self) -> Result<Left<R, A>, Failure> {
        while let Some(mut arrival) = self.arrived.recv().await {
            if !self.is_confirmed(&mut arrival).await? {
                return Ok(Left::Away(arrival));
            }
            if let Some(sent) = arrival.sent {
                sent.trail.delivered();
            }
            arrival.ack.acknowledge();
        }
        Ok(Left::Closed)
    }

    /// Waits for Kafka to have the message; `false`: it is away.
    async fn is_confirmed(&self, arrival: &mut Arrival<R, A>) -> Result<bool, Failure> {
        let mut refused = false;
        loop {
            let Some(sent) = &mut arrival.sent else { return Ok(false) };
            let report = match self.away_after {
                None => sent.confirmed().await,
                Some(away_after) => match timeout_at((sent.at + away_after).into(), sent.confirmed()).await {
                    Ok(report) => report,
                    Err(_) => return Ok(false),
                },
            };
            match report {
                Ok(()) => return Ok(true),
                Err(Failure::Poison(poison)) if !refused => {
                    refused = true;
                    let mut letter = live::lock(&self.live).as_mut().map(|live| live.letter(&arrival.message, &poison));
                    arrival.sent = loop {
                        let sent = match &mut *live::lock(&self.live) {
                            Some(live) => live.send(&arrival.message, &mut letter)?,
                            None => break None,
                        };
                        match sent {
                            Some(sent) => break Some(sent),
                            None => tokio::time::sleep(FOR_ROOM).await,
                        }
                    };
                }
                Err(later @ Failure::Transient(_)) if self.away_after.is_some() => {
                    later.note("kafka");
                    return Ok(false);
                }
                Err(failure) => return Err(Failure::fatal(format!("a record was not delivered: {failure}"))),
            }
        }
    }
}
