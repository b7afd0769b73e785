//! From a record's bytes to an event: framing, schema, body. What cannot be read is Poison; a registry out of reach is
//! Transient.

use std::marker::PhantomData;
use std::sync::Arc;

use events::Event;
use events::codec::{Frame, SchemaId, WriterSchema, unframe};

use crate::{Failure, Poison, Registry};

impl From<Frame> for Poison {
    fn from(frame: Frame) -> Self {
        let reason = match frame {
            Frame::TooShort(_) => "too_short",
            Frame::WrongMagic(_) => "bad_magic",
        };
        Self::new(reason, frame.to_string())
    }
}

/// Reads an event; asks the registry for schemas not seen before.
pub async fn decode<E: Event>(registry: &Registry, value: &[u8]) -> Result<E, Failure> {
    let (id, body) = unframe(value).map_err(Poison::from)?;
    let schema = registry.schema(id).await?;
    check::<E>(&schema)?;
    Ok(read(&schema, body)?)
}

/// As [`decode`], for a thread outside the async runtime: blocks on the registry, only for schemas not seen before, and
/// keeps the schema of the last record at hand.
pub(crate) struct Decoder<'a, E> {
    registry: &'a Registry,
    runtime: &'a tokio::runtime::Handle,
    last: Option<(SchemaId, Arc<WriterSchema>)>,
    event: PhantomData<fn() -> E>,
}

impl<E> Clone for Decoder<'_, E> {
    fn clone(&self) -> Self {
        Self { last: self.last.clone(), ..*self }
    }
}

impl<'a, E: Event> Decoder<'a, E> {
    pub(crate) fn new(registry: &'a Registry, runtime: &'a tokio::runtime::Handle) -> Self {
        Self { registry, runtime, last: None, event: PhantomData }
    }

    pub(crate) fn decode(&mut self, value: &[u8]) -> Result<E, Failure> {
        let (id, body) = unframe(value).map_err(Poison::from)?;
        let schema = match &self.last {
            Some((last, schema)) if *last == id => schema,
            _ => {
                let schema = match self.registry.cached(id) {
                    Some(schema) => schema,
                    None => self.runtime.block_on(self.registry.schema(id))?,
                };
                check::<E>(&schema)?;
                &self.last.insert((id, schema)).1
            }
        };
        Ok(read(schema, body)?)
    }
}

/// Reads any event as JSON, for people.
pub async fn decode_json(registry: &Registry, value: &[u8]) -> Result<serde_json::Value, Failure> {
    let (id, body) = unframe(value).map_err(Poison::from)?;
    let schema = registry.schema(id).await?;
    schema.decode_json(body).map_err(|error| Poison::new("unreadable", error.to_string()).into())
}

fn check<E: Event>(schema: &WriterSchema) -> Result<(), Poison> {
    if schema.name() == E::SCHEMA.name {
        return Ok(());
    }
    Err(Poison::new("other_schema", format!("value is a {}, this topic holds {}", schema.name(), E::SCHEMA.name)))
}

fn read<E: Event>(schema: &WriterSchema, body: &[u8]) -> Result<E, Poison> {
    schema.decode(body).map_err(|error| Poison::new("unreadable", error.to_string()))
}

#[cfg(test)]
mod tests {
    use events::codec::Encoder;
    use events::{DeviceState, DeviceStatus, Reading, Timestamp};

    use super::*;

    const NOW: SchemaId = SchemaId(1);
    const LATER: SchemaId = SchemaId(2);
    const OTHER: SchemaId = SchemaId(3);
    const UNKNOWN: SchemaId = SchemaId(4);

    fn status() -> DeviceStatus {
        let changed_at = Timestamp::from_micros(7);
        DeviceStatus {
            tenant: "default".into(),
            device_id: "sensor-1".into(),
            state: DeviceState::Online,
            reason: "birth".into(),
            changed_at,
        }
    }

    fn value(id: SchemaId) -> Vec<u8> {
        Encoder::<DeviceStatus>::new(id).unwrap().encode(&status()).unwrap()
    }

    /// As of a later release: with one field more, before the others.
    fn later() -> (String, Vec<u8>) {
        let mut schema: serde_json::Value = serde_json::from_str(DeviceStatus::SCHEMA.json).unwrap();
        let added = serde_json::json!({ "name": "added", "type": "long", "default": 0 });
        schema["fields"].as_array_mut().unwrap().insert(0, added);
        let mut value = value(LATER);
        let (_, body) = unframe(&value).unwrap();
        let begin = value.len() - body.len();
        value.insert(begin, 2);
        (schema.to_string(), value)
    }

    fn reason<T: std::fmt::Debug>(outcome: Result<T, Failure>) -> &'static str {
        match outcome {
            Err(Failure::Poison(poison)) => poison.reason,
            Err(Failure::Transient(_)) => "later",
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_value_is_read_with_the_schema_it_names_or_it_is_said_why_not() {
        let (schema, later) = later();
        let registry = Registry::knowing(&[(NOW, DeviceStatus::SCHEMA.json), (LATER, &schema), (OTHER, Reading::SCHEMA.json)]);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let mut decoder = Decoder::<DeviceStatus>::new(&registry, runtime.handle());
        for value in [value(NOW), later.clone(), value(NOW), value(NOW), later] {
            assert_eq!(decoder.decode(&value).unwrap(), status());
            assert_eq!(decoder.clone().decode(&value).unwrap(), status());
            assert_eq!(runtime.block_on(decode::<DeviceStatus>(&registry, &value)).unwrap(), status());
            assert_eq!(runtime.block_on(decode_json(&registry, &value)).unwrap()["device_id"], "sensor-1");
        }
        let mut torn = value(NOW);
        torn.truncate(8);
        for (value, said) in [(vec![0, 0], "too_short"), (vec![1; 9], "bad_magic"), (torn, "unreadable"), (value(UNKNOWN), "later")] {
            assert_eq!(reason(decoder.decode(&value)), said);
            assert_eq!(reason(runtime.block_on(decode::<DeviceStatus>(&registry, &value))), said);
            assert_eq!(reason(runtime.block_on(decode_json(&registry, &value))), said);
        }
        assert_eq!(reason(decoder.decode(&value(OTHER))), "other_schema");
        assert_eq!(reason(runtime.block_on(decode::<DeviceStatus>(&registry, &value(OTHER)))), "other_schema");
    }
}
