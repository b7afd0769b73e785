//! The live side of notifications.v1: every partition tailed without a group, each change handed to every open stream.
//!
//! Guarantees: a stream that subscribes gets everything from the hub's position on, in the log's order per notification;
//! the changes just before it are kept. Memory is bounded: a stream that falls behind is told how far, not waited for.

mod counts;
mod frame;
mod log;
mod recent;
mod results;
mod tailing;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use stream::{KafkaConfig, Registry};
use tokio::sync::{Semaphore, broadcast, watch};

pub use frame::Frame;
pub use log::{CatchUp, Gone};

use crate::config::SseConfig;
use crate::domain::position::Position;
use crate::domain::repeats::Repeats;
use recent::Recent;

/// Notifications whose versions are remembered, to recognise what the relay repeats.
const REMEMBERED: usize = 65_536;

/// What open streams are told.
#[derive(Clone)]
pub enum Live {
    Changed(Arc<Frame>),
    Counts {
        tenant: Arc<str>,
        data: Bytes,
    },
    /// What became of a command.
    Command {
        tenant: Arc<str>,
        device_id: Arc<str>,
        data: Bytes,
    },
}

/// Clones share everything.
#[derive(Clone)]
pub struct Hub {
    shared: Arc<Shared>,
}

struct Shared {
    kafka: KafkaConfig,
    registry: Registry,
    /// Full name of notifications.v1.
    topic: String,
    state: Mutex<State>,
    live: broadcast::Sender<Live>,
    started: watch::Sender<bool>,
    catch_ups: Arc<Semaphore>,
}

struct State {
    recent: Recent,
    repeats: Repeats,
    /// Open streams by tenant, and the tenants whose counts may have changed.
    watched: HashMap<Arc<str>, usize>,
    stale: HashSet<Arc<str>>,
}

/// A stream's place at the hub.
pub struct Subscription {
    pub live: broadcast::Receiver<Live>,
    /// Everything from here on comes through `live`.
    pub position: Position,
    /// What lies between the asked position and this one; `None`: no longer here, or that position is not one of ours.
    pub missed: Option<Vec<Arc<Frame>>>,
    pub watching: Watching,
}

/// Keeps a tenant's counts coming while held.
pub struct Watching {
    shared: Arc<Shared>,
    tenant: Arc<str>,
}

impl Hub {
    pub fn new(kafka: &KafkaConfig, registry: Registry, config: &SseConfig) -> Self {
        let state =
            State { recent: Recent::new(config.recent), repeats: Repeats::new(REMEMBERED), watched: HashMap::new(), stale: HashSet::new() };
        let shared = Shared {
            kafka: kafka.clone(),
            registry,
            topic: kafka.prefixed(events::topics::NOTIFICATIONS),
            state: Mutex::new(state),
            live: broadcast::Sender::new(config.client_backlog),
            started: watch::Sender::new(false),
            catch_ups: Arc::new(Semaphore::new(config.catch_ups)),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Waits until the topic is being read.
    pub async fn started(&self) {
        // The sender lives as long as `self`.
        let _ = self.shared.started.subscribe().wait_for(|started| *started).await;
    }

    /// Joins at the hub's position; with what was missed since `from`, as far as it is still here.
    pub fn subscribe(&self, tenant: &str, from: Option<&Position>) -> Subscription {
        let tenant: Arc<str> = tenant.into();
        self.shared.with(|state| {
            *state.watched.entry(Arc::clone(&tenant)).or_default() += 1;
            Subscription {
                live: self.shared.live.subscribe(),
                position: state.recent.position().clone(),
                missed: from.and_then(|from| state.recent.after(from)),
                watching: Watching { shared: Arc::clone(&self.shared), tenant },
            }
        })
    }

    pub fn position(&self) -> Position {
        self.shared.with(|state| state.recent.position().clone())
    }

    fn publish(&self, partition: i32, offset: i64, frame: Option<Frame>) {
        self.shared.with(|state| {
            let new = frame.filter(|frame| {
                let notification = &frame.notification;
                state.repeats.is_new(&notification.notification_id, notification.version)
            });
            let Some(frame) = state.recent.push(partition, offset, new) else { return };
            let tenant: Arc<str> = frame.notification.tenant.as_str().into();
            if state.watched.contains_key(&tenant) {
                state.stale.insert(tenant);
            }
            // Nobody listens: fine. Inside the lock, so that no subscriber falls between position and channel.
            let _ = self.shared.live.send(Live::Changed(frame));
        });
    }
}

impl Shared {
    fn with<T>(&self, use_state: impl FnOnce(&mut State) -> T) -> T {
        use_state(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.shared.with(|state| {
            if let Some(watchers) = state.watched.get_mut(&self.tenant) {
                *watchers -= 1;
                if *watchers == 0 {
                    state.watched.remove(&self.tenant);
                }
            }
        });
    }
}
