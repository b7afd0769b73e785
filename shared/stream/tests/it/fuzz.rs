//! The values of topics, whoever wrote them.

use std::path::Path;

use events::codec::{Encoder, SchemaId, WriterSchema, unframe};
use events::{
    Aggregate, Anomaly, Blob, Command, CommandResult, DeviceStatus, Event, Notification, OutboundCommand, Reading, ReportedState, Scene,
    SensorHealth, TemperatureAlert,
};
use testkit::fuzz::fuzz;

/// Payloads of every release, and other files of that folder, which are none.
const CORPUS: &str = "../../schemas/golden";

/// What is read as an `E` is written as one that reads the same: compared as bytes, because a number may be NaN.
fn target<E: Event>() {
    let (encoder, schema) = (Encoder::<E>::new(SchemaId(7)).unwrap(), WriterSchema::parse(E::SCHEMA.json).unwrap());
    fuzz(&format!("avro-{}", E::SCHEMA.file), Path::new(CORPUS), |bytes| {
        let _ = unframe(bytes);
        let as_json = schema.decode_json(bytes).is_ok();
        let event: E = schema.decode(bytes).ok()?;
        let written = encoder.encode(&event).unwrap();
        let (id, body) = unframe(&written).unwrap();
        let again: E = schema.decode(body).unwrap();
        assert_eq!((id, encoder.encode(&again).unwrap()), (SchemaId(7), written));
        Some((as_json, event.key().len().min(8), event.subject().len().min(8)))
    });
}

#[test]
fn whatever_bytes_a_topic_holds_an_event_is_read_whole_or_not_at_all() {
    target::<Reading>();
    target::<DeviceStatus>();
    target::<Blob>();
    target::<TemperatureAlert>();
    target::<Anomaly>();
    target::<Aggregate>();
    target::<SensorHealth>();
    target::<Notification>();
    target::<Command>();
    target::<Scene>();
    target::<OutboundCommand>();
    target::<ReportedState>();
    target::<CommandResult>();
}
