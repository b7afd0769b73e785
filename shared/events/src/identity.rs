//! Who an event is about and which event it is.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Timestamp;

/// Tenant of every device whose route names none.
pub const DEFAULT_TENANT: &str = "default";

/// Namespace of every `UUIDv5` made here.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f1d_3c52_8f0e_5b7a_9c44_2f6d_1e80_a7b3);

/// (tenant, `device_id`): Kafka key and state key. As text: `device_id` for the default tenant, else `tenant/device_id`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeviceKey {
    pub tenant: String,
    pub device_id: String,
}

impl DeviceKey {
    pub fn new(tenant: impl Into<String>, device_id: impl Into<String>) -> Self {
        Self { tenant: tenant.into(), device_id: device_id.into() }
    }

    pub fn to_kafka_key(&self) -> String {
        kafka_key(&self.tenant, &self.device_id)
    }
}

/// The Kafka key of a device of a tenant.
pub fn kafka_key(tenant: &str, id: &str) -> String {
    if tenant == DEFAULT_TENANT { id.to_owned() } else { format!("{tenant}/{id}") }
}

/// A `UUIDv5` over parts. Each part carries its length, so `("ab", "c")` and `("a", "bc")` differ.
pub fn uuid_of(kind: &str, parts: &[&str]) -> Uuid {
    let mut name = String::with_capacity(kind.len() + parts.iter().map(|part| part.len() + 4).sum::<usize>());
    name.push_str(kind);
    for part in parts {
        // Writing to a String cannot fail.
        let _ = write!(name, "\u{1f}{}:{part}", part.len());
    }
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}

/// The id of one excursion: of an alert (by rule) or of an anomaly (by model).
pub fn excursion_id(kind: &str, tenant: &str, source: &str, device_id: &str, metric: &str, started_at: Timestamp) -> Uuid {
    uuid_of(kind, &[tenant, source, device_id, metric, &started_at.as_micros().to_string()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_tenant_is_not_in_the_key() {
        assert_eq!(DeviceKey::new(DEFAULT_TENANT, "sensor-01").to_kafka_key(), "sensor-01");
        assert_eq!(DeviceKey::new("acme", "sensor-01").to_kafka_key(), "acme/sensor-01");
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(uuid_of("alert", &["ab", "c"]), uuid_of("alert", &["a", "bc"]));
        assert_ne!(uuid_of("alert", &["a"]), uuid_of("anomaly", &["a"]));
    }

    #[test]
    fn an_id_stays_the_same_across_releases() {
        let id = excursion_id("alert", "default", "high", "sensor-01", "temperature", Timestamp::from_micros(1));
        assert_eq!(id.to_string(), "bc594c1f-5e3f-5e2e-aab3-1c2987ee16df");
    }
}
