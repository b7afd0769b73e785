//! While Kafka is away, and until it has caught up: arrivals go to disk, and from disk to Kafka, one queue for all.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use futures::future::{BoxFuture, FutureExt as _};
use tokio::task::block_in_place;
use tokio::time::MissedTickBehavior;

use crate::source::keeper::{Keeper, Left, SourceStatus};
use crate::source::live::{self, Live, Sending};
use crate::source::{Acknowledge, Arrival, FOR_ROOM, Message, Reader, Sent, Trail};
use crate::spool::{Spool, Spooled};
use crate::{Failure, Publisher};

/// Bytes read from disk and not yet in Kafka.
const WINDOW: usize = 4 << 20;
const READ: usize = 1 << 20;
/// Arrivals put on disk with one fsync.
const BATCH: usize = 4_096;
/// Between two times the position is saved, the status told, and a full disk tried again.
const TICK: Duration = Duration::from_millis(500);
const BEFORE_RECONNECT: Duration = Duration::from_secs(1);

pub(super) struct Drain<R: Reader> {
    spool: Spool,
    /// Read from disk and not sent.
    read: VecDeque<Spooled>,
    /// Some of its records wait for room.
    sending: Option<Sending<R::Trail>>,
    window: VecDeque<Drained<R>>,
    window_bytes: usize,
    full: bool,
    dropped: u64,
}

/// A message on its way from disk to Kafka.
struct Drained<R: Reader> {
    spooled: Spooled,
    message: R::Message,
    sent: Sent<R::Trail>,
    refused: bool,
}

impl<R: Reader> Drain<R> {
    pub(super) fn new(spool: Spool) -> Self {
        Self { spool, read: VecDeque::new(), sending: None, window: VecDeque::new(), window_bytes: 0, full: false, dropped: 0 }
    }

    fn is_empty(&self) -> bool {
        self.spool.messages() == 0
    }

    /// Sends what the window has room for; `false`: Kafka's client has none.
    fn fill(&mut self, live: &mut Live<R>) -> Result<bool, Failure> {
        while self.window_bytes < WINDOW {
            if self.read.is_empty() {
                self.read = block_in_place(|| self.spool.read(READ)).map_err(|error| Failure::fatal(format!("spool: {error}")))?.into();
            }
            let Some(spooled) = self.read.front() else { return Ok(true) };
            let message =
                R::Message::from_bytes(&spooled.bytes).ok_or_else(|| Failure::fatal("the spool holds what this version cannot read"))?;
            let Some(sent) = live.send(&message, &mut self.sending)? else { return Ok(false) };
            if let Some(spooled) = self.read.pop_front() {
                self.window_bytes += spooled.bytes.len();
                self.window.push_back(Drained { spooled, message, sent, refused: false });
            }
        }
        Ok(true)
    }

    /// Waits for the first of the window.
    async fn report(&mut self) -> Result<(), Failure> {
        match self.window.front_mut() {
            Some(first) => first.sent.confirmed().await,
            None => std::future::pending().await,
        }
    }

    fn first_delivered(&mut self) {
        if let Some(Drained { spooled, sent, .. }) = self.window.pop_front() {
            self.window_bytes -= spooled.bytes.len();
            self.spool.finish(&spooled);
            sent.trail.delivered();
        }
    }

    fn start_over(&mut self) {
        (self.sending, self.window_bytes) = (None, 0);
        self.window.clear();
        self.read.clear();
        self.spool.rewind();
    }

    fn status(&self, spooling: bool) -> SourceStatus {
        let Self { spool, full, dropped, .. } = self;
        let age = spool.age(SystemTime::now()).unwrap_or_default();
        SourceStatus { spooling, full: *full, messages: spool.messages(), bytes: spool.bytes(), age, dropped: *dropped }
    }

    fn save(&mut self) {
        if let Err(error) = block_in_place(|| self.spool.save()) {
            // After a crash more is sent twice; nothing is lost.
            Failure::transient(format!("the spool's position is not saved: {error}")).note("spool");
        }
    }
}

impl<R: Reader, A: Acknowledge> Keeper<R, A> {
    /// Ends when the spool is empty and all of it acknowledged: the source sends by itself again.
    pub(super) async fn catch_up(
        &mut self,
        drain: &mut Drain<R>,
        first: Option<Arrival<R, A>>,
        mut connecting: BoxFuture<'_, Result<Live<R>, Failure>>,
    ) -> Result<Left<R, A>, Failure> {
        if first.is_some() {
            tracing::warn!("Kafka takes nothing: messages go to disk");
        }
        let mut live: Option<Live<R>> = None;
        let (mut waiting, mut batch) = (VecDeque::from_iter(first), Vec::new());
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.keep(drain, &mut waiting).await?;
            // All that are there: busy arrivals must not leave the disk one report for each of their batches.
            while let Some(report) = drain.report().now_or_never() {
                self.reported(drain, report, &mut live, &mut connecting).await?;
            }
            let mut room = true;
            if let Some(sending) = &mut live {
                room = drain.fill(sending)?;
                if drain.is_empty() && waiting.is_empty() {
                    drain.save();
                    let mut sender = live::lock(&self.live);
                    if self.arrived.is_empty() {
                        *sender = live.take();
                        self.status.send_replace(drain.status(false));
                        return Ok(Left::CaughtUp);
                    }
                }
            }
            tokio::select! {
                biased;
                count = self.arrived.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        drain.save();
                        return Ok(Left::Closed);
                    }
                    waiting.extend(batch.drain(..));
                }
                report = drain.report() => self.reported(drain, report, &mut live, &mut connecting).await?,
                connected = &mut connecting, if live.is_none() => live = Some(connected?),
                () = tokio::time::sleep(FOR_ROOM), if !room => {}
                _ = tick.tick() => {
                    drain.save();
                    self.status.send_replace(drain.status(true));
                }
            }
        }
    }

    /// Puts on disk what is not in Kafka, and acknowledges; what finds no room stays in `waiting`.
    async fn keep(&mut self, drain: &mut Drain<R>, waiting: &mut VecDeque<Arrival<R, A>>) -> Result<(), Failure> {
        let (now, mut kept, mut bytes, mut size) = (SystemTime::now(), Vec::new(), Vec::new(), 0);
        drain.full = false;
        while let Some(mut arrival) = waiting.pop_front() {
            if let Some(mut sent) = arrival.sent.take() {
                // Given to a producer that was purged: each delivery has its report.
                match sent.confirmed().await {
                    Ok(()) => {
                        sent.trail.delivered();
                        kept.push(arrival);
                        continue;
                    }
                    Err(fatal @ Failure::Fatal(_)) => return Err(fatal),
                    Err(_) => {}
                }
            }
            let written = arrival.message.to_bytes()?;
            if drain.spool.has_room(size + written.len() as u64 + 16, now) {
                size += written.len() as u64 + 16;
                bytes.push(written);
                kept.push(arrival);
            } else if arrival.message.is_best_effort() {
                drain.dropped += 1;
            } else {
                drain.full = true;
                waiting.push_front(arrival);
                break;
            }
        }
        if drain.full {
            let before = waiting.len();
            waiting.retain(|arrival| arrival.sent.is_some() || !arrival.message.is_best_effort());
            drain.dropped += (before - waiting.len()) as u64;
        }
        if !bytes.is_empty()
            && let Err(error) = block_in_place(|| drain.spool.append(&bytes, now))
        {
            Failure::transient(format!("not written: {error}")).note("spool");
            drain.full = true;
            kept.into_iter().rev().for_each(|arrival| waiting.push_front(arrival));
            return Ok(());
        }
        for arrival in kept {
            arrival.ack.acknowledge();
        }
        Ok(())
    }

    /// Finishes a message that Kafka has. What Kafka will not have becomes a dead letter; after any other failure the window
    /// is sent again by another producer.
    async fn reported(
        &self,
        drain: &mut Drain<R>,
        report: Result<(), Failure>,
        live: &mut Option<Live<R>>,
        connecting: &mut BoxFuture<'_, Result<Live<R>, Failure>>,
    ) -> Result<(), Failure> {
        match (report, drain.window.front_mut(), live.take()) {
            (Ok(()), _, sending) => {
                drain.first_delivered();
                *live = sending;
            }
            (Err(Failure::Poison(poison)), Some(first), Some(mut sending)) if !first.refused => {
                first.refused = true;
                let mut letter = Some(sending.letter(&first.message, &poison));
                first.sent = loop {
                    match sending.send(&first.message, &mut letter)? {
                        Some(sent) => break sent,
                        None => tokio::time::sleep(FOR_ROOM).await,
                    }
                };
                *live = Some(sending);
            }
            (Err(later @ Failure::Transient(_)), _, Some(sending)) => {
                later.note("kafka");
                drain.start_over();
                *connecting = self.reconnect(Some(sending.purge()));
            }
            (Err(failure), ..) => return Err(Failure::fatal(format!("a record was not delivered: {failure}"))),
        }
        Ok(())
    }

    /// Another producer, once the purged one is gone.
    pub(super) fn reconnect<'a>(&self, purged: Option<(R, Publisher)>) -> BoxFuture<'a, Result<Live<R>, Failure>> {
        let (kafka, client_id, most_records) = (self.kafka.clone(), self.client_id, self.most_records);
        async move {
            let (reader, publisher) = purged.ok_or_else(|| Failure::fatal("nobody may send"))?;
            tokio::time::sleep(BEFORE_RECONNECT).await;
            let connected = tokio::task::spawn_blocking(move || {
                drop(publisher);
                Live::connect(reader, &kafka, client_id, most_records)
            });
            connected.await.map_err(Failure::fatal)?
        }
        .boxed()
    }
}
