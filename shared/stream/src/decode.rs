//! From a record's bytes to an event: framing, schema, body. What cannot be read is Poison; a registry out of reach is
//! Transient.

use std::sync::Arc;

use events::Event;
use events::codec::{Frame, WriterSchema, unframe};

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
    read(&schema, body).map_err(Failure::from)
}

/// As [`decode`], for a thread outside the async runtime: blocks on the registry, only for schemas not seen before.
pub(crate) fn decode_blocking<E: Event>(registry: &Registry, runtime: &tokio::runtime::Handle, value: &[u8]) -> Result<E, Failure> {
    let (id, body) = unframe(value).map_err(Poison::from)?;
    let schema = match registry.cached(id) {
        Some(schema) => schema,
        None => runtime.block_on(registry.schema(id))?,
    };
    read(&schema, body).map_err(Failure::from)
}

/// Reads any event as JSON, for people.
pub async fn decode_json(registry: &Registry, value: &[u8]) -> Result<serde_json::Value, Failure> {
    let (id, body) = unframe(value).map_err(Poison::from)?;
    let schema = registry.schema(id).await?;
    schema.decode_json(body).map_err(|error| Poison::new("unreadable", error.to_string()).into())
}

fn read<E: Event>(schema: &Arc<WriterSchema>, body: &[u8]) -> Result<E, Poison> {
    if schema.name() != E::SCHEMA.name {
        return Err(Poison::new("other_schema", format!("value is a {}, this topic holds {}", schema.name(), E::SCHEMA.name)));
    }
    schema.decode(body).map_err(|error| Poison::new("unreadable", error.to_string()))
}
