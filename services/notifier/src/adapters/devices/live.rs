//! What open streams are told of devices: once a second those that were heard of, and each reading of those watched closely.
//!
//! Guarantees: nothing is made while nobody watches; a device's document is written once for all; memory is bounded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use events::{DeviceKey, Reading};
use service::Shutdown;
use tokio::sync::broadcast;
use tokio::time::{MissedTickBehavior, interval};

use super::DeviceView;
use crate::adapters::db::Store;
use crate::adapters::device_document::{DeviceDocument, ReadingDocument};
use crate::domain::devices::Device;

/// How often a device is told of at most.
const PACE: Duration = Duration::from_secs(1);
/// Seconds a stream may fall behind, and readings of watched devices.
const BACKLOG: (usize, usize) = (8, 1_024);

/// A device as it is told of.
pub struct Told {
    pub device_id: String,
    pub device: Device,
    /// The document.
    pub data: Bytes,
}

#[derive(Clone)]
pub enum DeviceNews {
    /// Those of a tenant that were heard of.
    Heard(Arc<str>, Arc<[Told]>),
    /// Of a device that someone watches.
    Reading(Arc<DeviceKey>, Bytes),
}

pub(super) struct Live {
    heard: broadcast::Sender<DeviceNews>,
    readings: broadcast::Sender<DeviceNews>,
    watched: Mutex<WatchedBy>,
}

#[derive(Default)]
struct WatchedBy {
    tenants: HashMap<Arc<str>, usize>,
    devices: HashMap<Arc<DeviceKey>, usize>,
}

/// A stream's place; what is watched is let go with it.
pub struct DeviceWatch {
    view: DeviceView,
    tenant: Arc<str>,
    devices: Vec<Arc<DeviceKey>>,
    heard: broadcast::Receiver<DeviceNews>,
    /// `None` where no device is named: readings then cost nothing.
    readings: Option<broadcast::Receiver<DeviceNews>>,
}

impl Live {
    pub(super) fn new() -> Self {
        let (heard, readings) = (broadcast::Sender::new(BACKLOG.0), broadcast::Sender::new(BACKLOG.1));
        Self { heard, readings, watched: Mutex::default() }
    }

    fn with<T>(&self, use_watched: impl FnOnce(&mut WatchedBy) -> T) -> T {
        use_watched(&mut self.watched.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells of a reading, if its device is watched.
    pub(super) fn reading(&self, reading: &Reading) {
        // What the broker had kept from earlier was not measured now.
        if self.readings.receiver_count() == 0 || !reading.is_fresh() {
            return;
        }
        let key = DeviceKey::new(&reading.tenant, &reading.device_id);
        let watched = self.with(|watched| watched.devices.get_key_value(&key).map(|(key, _)| Arc::clone(key)));
        if let Some(key) = watched
            && let Ok(data) = serde_json::to_vec(&ReadingDocument::from(reading))
        {
            // Whoever watched has gone meanwhile.
            let _ = self.readings.send(DeviceNews::Reading(key, data.into()));
        }
    }
}

impl DeviceView {
    /// Joins the stream of a tenant's devices, and of the readings of `device_ids`.
    pub fn watch(&self, tenant: &str, device_ids: &[String]) -> DeviceWatch {
        let tenant: Arc<str> = tenant.into();
        let devices: Vec<_> = device_ids.iter().map(|id| Arc::new(DeviceKey::new(&*tenant, id))).collect();
        let live = &self.shared.live;
        live.with(|watched| {
            *watched.tenants.entry(Arc::clone(&tenant)).or_default() += 1;
            for key in &devices {
                *watched.devices.entry(Arc::clone(key)).or_default() += 1;
            }
        });
        let readings = (!devices.is_empty()).then(|| live.readings.subscribe());
        DeviceWatch { view: self.clone(), tenant, devices, heard: live.heard.subscribe(), readings }
    }

    /// Tells once a second of the devices that were heard of, until shutdown.
    pub async fn run_live(self, store: Store, shutdown: Shutdown) -> anyhow::Result<()> {
        let mut ticks = interval(PACE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = 0;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                _ = ticks.tick() => {}
            }
            let tenants: Vec<Arc<str>> = self.shared.live.with(|watched| watched.tenants.keys().cloned().collect());
            let Some((taken, heard)) = self.look(|devices| {
                let heard = tenants.iter().map(|tenant| (Arc::clone(tenant), devices.heard_since(tenant, told)));
                (devices.taken(), heard.collect::<Vec<_>>())
            }) else {
                continue;
            };
            told = taken;
            for (tenant, devices) in heard.into_iter().filter(|(_, devices)| !devices.is_empty()) {
                let ids: Vec<&str> = devices.iter().map(|(id, _)| id.as_str()).collect();
                let unresolved = match store.unresolved_of(&tenant, &ids).await {
                    Ok(unresolved) => unresolved.into_iter().collect::<HashMap<_, _>>(),
                    Err(error) => {
                        // They are told of with the next second's.
                        tracing::debug!(%error, "devices are not told of while the database is away");
                        told = 0;
                        continue;
                    }
                };
                let news = devices.into_iter().filter_map(|(device_id, device)| {
                    let unresolved = unresolved.get(&device_id).copied().unwrap_or_default();
                    let data = serde_json::to_vec(&DeviceDocument::new(&tenant, &device_id, &device, unresolved, false)).ok()?;
                    Some(Told { device_id, device, data: data.into() })
                });
                // Nobody watches any more: fine.
                let _ = self.shared.live.heard.send(DeviceNews::Heard(Arc::clone(&tenant), news.collect()));
            }
        }
    }
}

impl DeviceWatch {
    /// The next of what is watched; `None`: some of it was missed. May be given up and waited for again.
    pub async fn next(&mut self) -> Option<DeviceNews> {
        loop {
            let readings = async {
                match self.readings.as_mut() {
                    Some(readings) => readings.recv().await,
                    None => std::future::pending().await,
                }
            };
            let news = tokio::select! {
                news = self.heard.recv() => news.ok()?,
                news = readings => news.ok()?,
            };
            match &news {
                DeviceNews::Heard(tenant, _) if *tenant == self.tenant => return Some(news),
                DeviceNews::Reading(key, _) if self.devices.contains(key) => return Some(news),
                _ => {}
            }
        }
    }
}

impl Drop for DeviceWatch {
    fn drop(&mut self) {
        self.view.shared.live.with(|watched| {
            let WatchedBy { tenants, devices } = watched;
            let_go(tenants, &self.tenant);
            self.devices.iter().for_each(|key| let_go(devices, key));
        });
    }
}

fn let_go<K: Eq + std::hash::Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}
