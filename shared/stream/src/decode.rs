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
