//! One event on its way into the outbox.

use std::collections::BTreeMap;

use events::Event;
use events::headers::EventHeaders;
use uuid::Uuid;

/// A row to be: what will be one Kafka record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxEvent {
    pub event_id: Uuid,
    /// Kind of thing the event is about, e.g. `notification`.
    pub aggregate_type: String,
    /// The record's key. Events of one (`aggregate_type`, `aggregate_id`) are published in the order they were enqueued.
    pub aggregate_id: String,
    /// `CloudEvents` type, e.g. `fieldwatch.notification.v1`.
    pub event_type: String,
    /// The record's topic, obeyed as it is: with its prefix where there is one.
    pub topic: String,
    /// The record's value, sent as it is.
    pub payload: Vec<u8>,
    /// The record's headers: `CloudEvents`, correlation id, trace context.
    pub headers: BTreeMap<String, String>,
}

impl OutboxEvent {
    /// `event` as a record of `topic`; `payload` is its encoded value.
    pub fn of<E: Event>(event: &E, topic: impl Into<String>, payload: Vec<u8>, headers: &EventHeaders) -> Self {
        let mut pairs = BTreeMap::new();
        headers.for_each(|name, value| {
            pairs.insert(name.to_owned(), value.to_owned());
        });
        Self {
            event_id: headers.id,
            aggregate_type: E::SCHEMA.file.to_owned(),
            aggregate_id: event.key(),
            event_type: E::SCHEMA.ce_type.to_owned(),
            topic: topic.into(),
            payload,
            headers: pairs,
        }
    }
}

#[cfg(test)]
mod tests {
    use events::headers::CE_ID;
    use events::{DeviceState, DeviceStatus, Timestamp};

    use super::*;

    #[test]
    fn a_typed_event_becomes_a_row_with_its_key_and_headers() {
        let changed_at = Timestamp::from_micros(1_700_000_000_000_000);
        let (tenant, device_id, reason) = ("acme".to_owned(), "sensor-01".to_owned(), "birth".to_owned());
        let event = DeviceStatus { tenant, device_id, state: DeviceState::Online, reason, changed_at };
        let headers = EventHeaders::of(&event, "notifier", None, None);
        let row = OutboxEvent::of(&event, "a-telemetry.device-status.v1", vec![0, 1], &headers);
        assert_eq!((row.aggregate_type.as_str(), row.aggregate_id.as_str()), ("device-status", "acme/sensor-01"));
        assert_eq!((row.event_type.as_str(), row.topic.as_str()), ("fieldwatch.device-status.v1", "a-telemetry.device-status.v1"));
        assert_eq!(row.event_id, event.event_id());
        assert_eq!(row.headers.get(CE_ID), Some(&row.event_id.to_string()));
    }
}
