//! Devices as JSON: the names of `schemas/*.avsc`, times in RFC 3339 UTC.

use events::{DeviceState, DeviceStatus, HealthState, MetricHealth, Reading, SensorHealth};
use serde::Serialize;
use utoipa::ToSchema;

use super::document::Rfc3339;
use super::examples;
use crate::domain::devices::{Device, Latest, Measured};

/// A device as it was heard of last.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Device, example = examples::device)]
pub struct DeviceDocument {
    pub tenant: String,
    pub device_id: String,
    /// Room, line or site the device belongs to.
    pub group_id: Option<String>,
    /// Null while nobody told.
    pub status: Option<StatusDocument>,
    /// Null while nobody told.
    pub health: Option<HealthDocument>,
    /// By name; those of the readings that are still known.
    pub metrics: Vec<LatestDocument>,
    /// When its last reading was received.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub received_at: Option<Rfc3339>,
    pub unresolved_notifications: i64,
}

/// Whether the device is connected.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = DeviceStatus)]
pub struct StatusDocument {
    #[schema(value_type = DeviceStateSymbol)]
    pub state: DeviceState,
    /// birth, will, retired, `broker_lost`; others may follow.
    pub reason: String,
    #[schema(value_type = String, format = DateTime)]
    pub changed_at: Rfc3339,
}

/// How far the device's metrics can be trusted.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = DeviceHealth)]
pub struct HealthDocument {
    /// That of its worst metric.
    #[schema(value_type = HealthStateSymbol)]
    pub state: HealthState,
    /// The lowest of its metrics, 0 to 1; null when it has none.
    pub weight: Option<f64>,
    #[schema(value_type = String, format = DateTime)]
    pub changed_at: Rfc3339,
    pub metrics: Vec<MetricHealthDocument>,
}

/// How far a metric can be trusted.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = MetricHealth)]
pub struct MetricHealthDocument {
    pub metric: String,
    #[schema(value_type = HealthStateSymbol)]
    pub state: HealthState,
    /// Weight of its signal, 0 to 1.
    pub weight: f64,
    /// Mean residual against the group, in the metric's unit.
    pub residual: Option<f64>,
    #[schema(value_type = String, format = DateTime)]
    pub since: Rfc3339,
}

/// The last reading of a metric.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = LatestReading)]
pub struct LatestDocument {
    pub metric: String,
    pub value: f64,
    /// UCUM.
    pub unit: String,
    #[schema(value_type = String, format = DateTime)]
    pub measured_at: Rfc3339,
    /// The last values in the order they were measured in, this one last.
    pub sparkline: Vec<f64>,
    /// When each of the sparkline was measured; only for one device, not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    pub sparkline_at: Option<Vec<Rfc3339>>,
}

/// `event: reading`: a reading of a device that is watched, as it came.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Reading, example = examples::reading)]
pub struct ReadingDocument {
    pub device_id: String,
    pub metric: String,
    pub value: f64,
    /// UCUM.
    pub unit: String,
    #[schema(value_type = String, format = DateTime)]
    pub measured_at: Rfc3339,
    #[schema(value_type = String, format = DateTime)]
    pub received_at: Rfc3339,
}

impl From<&Reading> for ReadingDocument {
    fn from(reading: &Reading) -> Self {
        Self {
            device_id: reading.device_id.clone(),
            metric: reading.metric.clone(),
            value: reading.value,
            unit: reading.unit.clone(),
            measured_at: Rfc3339(reading.measured_at),
            received_at: Rfc3339(reading.received_at),
        }
    }
}

/// Whether a device is connected: the schema of [`DeviceState`], which knows nothing of `OpenAPI`.
#[derive(ToSchema)]
#[schema(as = DeviceState, rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeviceStateSymbol {
    Online,
    Offline,
    Retired,
    Unknown,
}

/// How far a metric can be trusted: the schema of [`HealthState`], which knows nothing of `OpenAPI`.
#[derive(ToSchema)]
#[schema(as = HealthState, rename_all = "SCREAMING_SNAKE_CASE")]
pub enum HealthStateSymbol {
    Healthy,
    Drifting,
    Stuck,
    Unknown,
}

impl DeviceDocument {
    /// `in_full`: with the times of all values.
    pub fn new(tenant: &str, device_id: &str, device: &Device, unresolved_notifications: i64, in_full: bool) -> Self {
        Self {
            tenant: tenant.to_owned(),
            device_id: device_id.to_owned(),
            group_id: device.group_id().map(str::to_owned),
            status: device.status.as_ref().map(StatusDocument::from),
            health: device.health.as_ref().map(|health| HealthDocument::new(health, device.health_state())),
            metrics: device.metrics.iter().filter_map(|(metric, latest)| LatestDocument::new(metric, latest, in_full)).collect(),
            received_at: device.received_at.map(Rfc3339),
            unresolved_notifications,
        }
    }
}

impl From<&DeviceStatus> for StatusDocument {
    fn from(status: &DeviceStatus) -> Self {
        Self { state: status.state, reason: status.reason.clone(), changed_at: Rfc3339(status.changed_at) }
    }
}

impl HealthDocument {
    fn new(health: &SensorHealth, state: HealthState) -> Self {
        let weight = health.metrics.iter().map(|metric| metric.weight).min_by(f64::total_cmp);
        let metrics = health.metrics.iter().map(MetricHealthDocument::from).collect();
        Self { state, weight, changed_at: Rfc3339(health.changed_at), metrics }
    }
}

impl From<&MetricHealth> for MetricHealthDocument {
    fn from(health: &MetricHealth) -> Self {
        let MetricHealth { metric, state, weight, residual, since } = health.clone();
        Self { metric, state, weight, residual, since: Rfc3339(since) }
    }
}

impl LatestDocument {
    fn new(metric: &str, latest: &Latest, in_full: bool) -> Option<Self> {
        let Measured { measured_at, value } = *latest.values.back()?;
        let times = || latest.values.iter().map(|one| Rfc3339(one.measured_at)).collect();
        Some(Self {
            metric: metric.to_owned(),
            value,
            unit: latest.unit.clone(),
            measured_at: Rfc3339(measured_at),
            sparkline: latest.values.iter().map(|one| one.value).collect(),
            sparkline_at: in_full.then(times),
        })
    }
}
