//! The latest of every device, as each replica reads it for itself: readings from a bounded way back, status and health
//! whole, because their topics keep the last word of every device. Nothing of it is in the database.
//!
//! Guarantees: memory is bounded; what cannot be read is counted and passed over; Kafka and the registry are waited for.

mod live;
mod tailing;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use events::{DEFAULT_TENANT, DeviceKey, DeviceStatus, Event as _, Reading, SensorHealth, Timestamp};
use stream::{Failure, KafkaConfig, Poison, Record, Registry, decode};

pub use live::{DeviceNews, DeviceWatch};

use crate::config::DevicesConfig;
use crate::domain::devices::{Bounds, Devices};
use crate::domain::signal::LONGEST_NAME;
use live::Live;

/// A topic that says something about devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Readings,
    Status,
    Health,
}

impl Source {
    pub const ALL: [Self; 3] = [Self::Readings, Self::Status, Self::Health];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Readings => "devices-readings",
            Self::Status => "devices-status",
            Self::Health => "devices-health",
        }
    }

    const fn topic(self) -> &'static str {
        match self {
            Self::Readings => Reading::SCHEMA.topic,
            Self::Status => DeviceStatus::SCHEMA.topic,
            Self::Health => SensorHealth::SCHEMA.topic,
        }
    }
}

/// Clones share everything.
#[derive(Clone)]
pub struct DeviceView {
    shared: Arc<Shared>,
}

struct Shared {
    kafka: KafkaConfig,
    registry: Registry,
    config: DevicesConfig,
    devices: RwLock<Devices>,
    /// Sources that were not yet read to where they ended at the start.
    behind: AtomicUsize,
    live: Live,
}

/// What a record says.
enum News {
    Reading(Reading),
    Status(DeviceStatus),
    Health(SensorHealth),
    /// Of whichever devices have the key.
    Gone(Vec<DeviceKey>, Timestamp),
}

impl DeviceView {
    pub fn new(kafka: &KafkaConfig, registry: Registry, config: &DevicesConfig) -> Self {
        let bounds = Bounds { devices: config.most, metrics: config.metrics, values: config.values };
        let shared = Shared {
            kafka: kafka.clone(),
            registry,
            config: config.clone(),
            devices: RwLock::new(Devices::new(bounds)),
            behind: AtomicUsize::new(Source::ALL.len()),
            live: Live::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Looks at the devices; `None` while some that there are may be missing.
    pub fn look<T>(&self, look: impl FnOnce(&Devices) -> T) -> Option<T> {
        let whole = self.shared.behind.load(Ordering::Acquire) == 0;
        whole.then(|| look(&self.shared.devices.read().unwrap_or_else(PoisonError::into_inner)))
    }

    async fn read(&self, source: Source, record: &Record) -> Result<News, Failure> {
        let registry = &self.shared.registry;
        let Some(value) = record.value.as_deref() else {
            let at = Timestamp::from_millis(record.timestamp.unwrap_or_default());
            return Ok(News::Gone(keys(record), at));
        };
        match source {
            Source::Readings => {
                let reading: Reading = decode::decode(registry, value).await?;
                let names = [&reading.tenant, &reading.device_id, &reading.metric, &reading.unit];
                check(names.into_iter().chain(&reading.group_id), &[reading.measured_at, reading.received_at])?;
                if !reading.value.is_finite() {
                    return Err(Poison::new("not_finite", "a value that is no number").into());
                }
                Ok(News::Reading(reading))
            }
            Source::Status => {
                let status: DeviceStatus = decode::decode(registry, value).await?;
                check([&status.tenant, &status.device_id, &status.reason], &[status.changed_at])?;
                Ok(News::Status(status))
            }
            Source::Health => {
                let health: SensorHealth = decode::decode(registry, value).await?;
                let names = [&health.tenant, &health.device_id].into_iter().chain(&health.group_id);
                check(names.chain(health.metrics.iter().map(|metric| &metric.metric)), &[health.changed_at])?;
                Ok(News::Health(health))
            }
        }
    }

    fn take(&self, source: Source, news: News) {
        if let News::Reading(reading) = &news {
            self.shared.live.reading(reading);
        }
        let mut devices = self.shared.devices.write().unwrap_or_else(PoisonError::into_inner);
        let shed = match news {
            News::Reading(reading) => devices.take_reading(&reading),
            News::Status(status) => devices.take_status(status),
            News::Health(health) => devices.take_health(health),
            News::Gone(keys, at) => {
                for key in &keys {
                    match source {
                        Source::Status => devices.forget_status(key, at),
                        Source::Health => devices.forget_health(key),
                        Source::Readings => {}
                    }
                }
                0
            }
        };
        if shed > 0 {
            tracing::warn!(shed, "more devices than devices.most; those heard of longest ago are not listed");
        }
    }
}

/// Whether names are of bounded length and can be asked the database for, and times are in the calendar.
pub(super) fn check<'a>(names: impl IntoIterator<Item = &'a String>, times: &[Timestamp]) -> Result<(), Poison> {
    if names.into_iter().any(|name| name.len() > LONGEST_NAME || name.contains('\0')) {
        return Err(Poison::new("unusable_name", "a name is too long or holds the character NUL"));
    }
    match times.iter().find(|at| at.to_datetime().is_none()) {
        Some(at) => Err(Poison::new("no_time", format!("{at} is not a time"))),
        None => Ok(()),
    }
}

/// The devices that have a record's key: one may be of the default tenant and hold a slash in its id.
fn keys(record: &Record) -> Vec<DeviceKey> {
    let Some(key) = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()) else { return Vec::new() };
    let other = key.split_once('/').map(|(tenant, device_id)| DeviceKey::new(tenant, device_id));
    std::iter::once(DeviceKey::new(DEFAULT_TENANT, key)).chain(other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_without_bound_and_times_outside_the_calendar_are_refused() {
        let (good, long, nul) = ("a".to_owned(), "x".repeat(LONGEST_NAME + 1), "a\0".to_owned());
        assert_eq!(check([&good], &[Timestamp::from_micros(1)]), Ok(()));
        assert_eq!(check([&good, &long], &[]).unwrap_err().reason, "unusable_name");
        assert_eq!(check([&nul], &[]).unwrap_err().reason, "unusable_name");
        assert_eq!(check([&good], &[Timestamp::from_micros(i64::MAX)]).unwrap_err().reason, "no_time");
    }
}
