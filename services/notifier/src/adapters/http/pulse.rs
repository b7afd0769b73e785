//! What every open event stream does besides its events: comments that keep the connection, its key's end, the stop.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use events::Timestamp;
use service::Shutdown;
use telemetry::metrics;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::Api;
use super::frames;
use super::viewer::Viewer;
use crate::adapters::db::Store;

/// How often an open stream asks whether its key is still good, and keeps its ticket alive.
pub(super) const RECHECK: Duration = Duration::from_mins(1);

pub(super) struct Pulse {
    viewer: Viewer,
    store: Store,
    shutdown: Shutdown,
    ticket_life: Duration,
    keep_alive: Interval,
    recheck: Interval,
    gauge: metrics::GaugeF64,
}

pub(super) enum Beat {
    KeepAlive,
    Recheck,
    Stop,
}

impl Pulse {
    pub(super) fn new(api: &Arc<Api>, viewer: Viewer) -> Self {
        let gauge = metrics::gauge("fieldwatch_sse_clients", &[]);
        gauge.inc();
        Self {
            viewer,
            store: api.store.clone(),
            shutdown: api.shutdown.clone(),
            ticket_life: api.sse.ticket_life + RECHECK,
            keep_alive: every(api.sse.keep_alive),
            recheck: every(RECHECK),
            gauge,
        }
    }

    pub(super) fn tenant(&self) -> &str {
        &self.viewer.principal.tenant
    }

    /// The next beat; may be given up and waited for again.
    pub(super) async fn next(&mut self) -> Beat {
        tokio::select! {
            () = self.shutdown.cancelled() => Beat::Stop,
            _ = self.keep_alive.tick() => Beat::KeepAlive,
            _ = self.recheck.tick() => Beat::Recheck,
        }
    }

    /// What a beat has to send, if anything; `None`: the stream is over.
    pub(super) async fn follow(&self, beat: Beat) -> Option<Option<Bytes>> {
        match beat {
            Beat::Stop => None,
            Beat::KeepAlive => Some(Some(frames::keep_alive())),
            Beat::Recheck => self.is_good().await.then_some(None),
        }
    }

    /// Whether the key, or the token, is still good. A database out of reach ends nothing.
    async fn is_good(&self) -> bool {
        let good = match &self.viewer.ticket {
            Some(ticket) => self.store.use_ticket(ticket, self.ticket_life).await.map(|used| used.is_some()),
            None => match self.viewer.principal.until {
                Some(until) => Ok(Timestamp::from(SystemTime::now()) < until),
                None => self.store.is_good(self.viewer.principal.key_id).await,
            },
        };
        good.unwrap_or_else(|error| {
            tracing::debug!(%error, "the key of a stream was not checked");
            true
        })
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}

fn every(period: Duration) -> Interval {
    let mut interval = interval_at(Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
