//! One open event stream, from its first frame to its last.
//!
//! Guarantees: everything after the position it begins at, each notification's versions in order; never more in memory
//! than what is being sent. Ends with a `gap` when the client is too slow, silently when its key is revoked.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::body::Bytes;
use events::{Event as _, NotificationState};
use stream::Failure;
use telemetry::span::{MessageSpan, Operation};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::Api;
use super::frames::{self, Gap, Snapshot};
use super::problem::Problem;
use super::pulse::Pulse;
use super::viewer::Viewer;
use crate::adapters::db::Store;
use crate::adapters::document::NotificationDocument;
use crate::adapters::hub::{CatchUp, Frame, Hub, Live, Subscription, Watching};
use crate::domain::filter::Filter;
use crate::domain::position::Position;
use crate::domain::repeats::Repeats;

/// Notifications of a snapshot at most.
const SNAPSHOT: usize = 200;
/// Notifications whose versions a stream remembers from its snapshot or from catching up.
const REMEMBERED: usize = 512;

pub(super) struct Session {
    filter: Filter,
    store: Store,
    hub: Hub,
    pulse: Pulse,
    ready: VecDeque<Bytes>,
    /// Changes from the hub's memory, written when their turn comes.
    missed: VecDeque<Arc<Frame>>,
    /// What the client has, or will have with what is ready.
    position: Position,
    catch_up: Option<CatchUp>,
    live: Option<broadcast::Receiver<Live>>,
    repeats: Repeats,
    _watching: Watching,
}

impl Session {
    /// Joins the hub and prepares what comes before live changes: what was missed since `from`, or a snapshot.
    pub(super) async fn begin(api: &Arc<Api>, viewer: Viewer, filter: Filter, from: Option<Position>) -> Result<Self, Problem> {
        api.hub.started().await;
        let tenant = viewer.principal.tenant.clone();
        let mut subscription = api.hub.subscribe(&tenant, from.as_ref());
        let mut catch_up = None;
        let mut gap = None;
        if let Some(from) = from.as_ref().filter(|_| subscription.missed.is_none()) {
            let permit = api.hub.turn_to_catch_up().await?;
            // What came while waiting need not be read from the log by everyone in the queue.
            subscription = api.hub.subscribe(&tenant, Some(from));
            if subscription.missed.is_none() {
                match api.hub.catch_up(permit, from, subscription.position.clone()).await? {
                    Ok(opened) => catch_up = Some(opened),
                    Err(gone) => gap = Some(gone),
                }
            }
        }
        let Subscription { live, position, missed, watching } = subscription;
        let mut session = Self {
            filter,
            store: api.store.clone(),
            hub: api.hub.clone(),
            pulse: Pulse::new(api, viewer),
            ready: VecDeque::from([frames::opening()]),
            missed: VecDeque::new(),
            position,
            catch_up,
            live: Some(live),
            repeats: Repeats::new(REMEMBERED),
            _watching: watching,
        };
        match (from, gap) {
            (None, _) => session.snapshot().await?,
            (Some(from), Some(gone)) => {
                session.gap(&from, gone.reason());
                session.snapshot().await?;
            }
            (Some(from), None) => {
                session.position = from;
                session.missed = missed.unwrap_or_default().into();
            }
        }
        Ok(session)
    }

    /// The next bytes to send; `None`: the stream is over.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Some(bytes);
            }
            self.live.as_ref()?;
            match self.missed.pop_front() {
                Some(frame) => self.missed(&frame),
                None => self.step().await,
            }
        }
    }

    async fn step(&mut self) {
        let Some(live) = self.live.as_mut() else { return };
        let mut catch_up = self.catch_up.as_mut();
        let catching_up = catch_up.is_some();
        let missed = async {
            match catch_up.as_mut() {
                Some(catch_up) => catch_up.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            beat = self.pulse.next() => match self.pulse.follow(beat).await {
                Some(bytes) => self.ready.extend(bytes),
                None => self.live = None,
            },
            frame = missed => self.caught_up(frame),
            news = live.recv(), if !catching_up => self.news(news),
        }
    }

    fn caught_up(&mut self, frame: Result<Option<Frame>, Failure>) {
        match frame {
            Ok(Some(frame)) => self.missed(&frame),
            Ok(None) => self.catch_up = None,
            Err(failure) => {
                // The client comes back with what it has.
                failure.note("catching up a stream");
                self.live = None;
            }
        }
    }

    fn news(&mut self, news: Result<Live, RecvError>) {
        match news {
            Ok(Live::Changed(frame)) => self.changed(&frame),
            Ok(Live::Counts { tenant, data }) if *tenant == *self.pulse.tenant() => {
                self.ready.push_back(frames::event("counts", None, &data));
            }
            Ok(Live::Command { tenant, device_id, data }) if *tenant == *self.pulse.tenant() && self.follows(&device_id) => {
                self.ready.push_back(frames::event("command", None, &data));
            }
            Ok(Live::Counts { .. } | Live::Command { .. }) => {}
            Err(RecvError::Lagged(_)) => {
                let from = self.position.clone();
                self.gap(&from, "slow_client");
                self.live = None;
            }
            Err(RecvError::Closed) => self.live = None,
        }
    }

    /// Of a stream's filters, a command has only the device.
    fn follows(&self, device_id: &str) -> bool {
        let wanted = &self.filter.device_ids;
        wanted.is_empty() || wanted.iter().any(|wanted| wanted == device_id)
    }

    /// A change from before the subscription, in whatever order it was found.
    fn missed(&mut self, frame: &Frame) {
        self.position.advance(frame.partition, frame.offset);
        let notification = &frame.notification;
        if self.is_visible(frame) && self.repeats.is_new(&notification.notification_id, notification.version) {
            self.send(frame);
        }
    }

    fn changed(&mut self, frame: &Frame) {
        if self.position.is_past(frame.partition, frame.offset) {
            return;
        }
        // Everything the hub passed is behind this stream too: sent, or not for it.
        if frame.position.covers(&self.position) {
            self.position.clone_from(&frame.position);
        } else {
            self.position.advance(frame.partition, frame.offset);
        }
        let notification = &frame.notification;
        if self.is_visible(frame) && !self.repeats.knows(&notification.notification_id, notification.version) {
            self.send(frame);
        }
    }

    fn is_visible(&self, frame: &Frame) -> bool {
        frame.notification.tenant == self.pulse.tenant() && self.filter.matches(&frame.notification)
    }

    fn send(&mut self, frame: &Frame) {
        let span = frame.trace.as_ref().filter(|trace| trace.sampled).map(|trace| {
            let span = MessageSpan::start(Operation::Publish, "sse", Some(trace));
            span.set("messaging.message.id", frame.notification.event_id().to_string());
            span
        });
        self.ready.push_back(frames::event("notification", Some(&self.position), frame.data()));
        drop(span);
    }

    async fn snapshot(&mut self) -> Result<(), Problem> {
        let tenant = self.pulse.tenant();
        let states = vec![NotificationState::Open, NotificationState::Acknowledged, NotificationState::Snoozed];
        let unresolved = Filter { states, ..self.filter.clone() };
        let listed = self.store.list(tenant, &unresolved, None, SNAPSHOT).await?;
        let snapshot = Snapshot {
            notifications: listed.notifications.iter().map(NotificationDocument::from).collect(),
            counts: self.store.counts(tenant).await?,
            truncated: listed.next.is_some(),
        };
        for notification in &listed.notifications {
            self.repeats.is_new(&notification.notification_id, notification.version);
        }
        let data = serde_json::to_vec(&snapshot).map_err(Failure::fatal)?;
        self.ready.push_back(frames::event("snapshot", Some(&self.position), &data));
        Ok(())
    }

    /// Says what is missing; without an id, so that a client that comes back asks for it again.
    fn gap(&mut self, from: &Position, reason: &str) {
        let gap = Gap { from: frames::event_id(from), to: frames::event_id(&self.hub.position()), reason: reason.to_owned() };
        let data = serde_json::to_vec(&gap).unwrap_or_default();
        self.ready.push_back(frames::event("gap", None, &data));
    }
}
