//! Avro in the Confluent wire format: magic byte 0, schema id (4 bytes, big endian), body.
//!
//! Bodies are read with the writer's schema straight into the type; what the type does not know is skipped. Tests hold
//! this against the reference implementation.

use serde_avro_fast::ser::SerializerConfig;

use crate::Event;

const MAGIC: u8 = 0;
const HEADER: usize = 5;

/// Id the schema registry gave a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SchemaId(pub u32);

/// Bytes that are not a framed Avro value.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Frame {
    #[error("{0} bytes are too few for magic byte and schema id")]
    TooShort(usize),
    #[error("magic byte is {0:#04x}, not 0x00")]
    WrongMagic(u8),
}

/// A value that its schema does not allow, or bytes that do not follow it.
#[derive(Debug, thiserror::Error)]
pub enum Codec {
    #[error("schema {name} cannot be used: {source}")]
    SchemaUnusable { name: String, source: serde_avro_fast::schema::SchemaError },
    #[error("{name} cannot be written: {source}")]
    Unwritable { name: &'static str, source: serde_avro_fast::ser::SerError },
    #[error("{name} cannot be read: {source}")]
    Unreadable { name: &'static str, source: serde_avro_fast::de::DeError },
    #[error("schema is {found}, not {expected}")]
    OtherSchema { expected: &'static str, found: String },
}

/// Splits a record's value into schema id and body.
pub fn unframe(value: &[u8]) -> Result<(SchemaId, &[u8]), Frame> {
    let Some((header, body)) = value.split_at_checked(HEADER) else { return Err(Frame::TooShort(value.len())) };
    let [magic, id @ ..] = header else { return Err(Frame::TooShort(value.len())) };
    if *magic != MAGIC {
        return Err(Frame::WrongMagic(*magic));
    }
    let id = id.iter().fold(0_u32, |id, byte| (id << 8) | u32::from(*byte));
    Ok((SchemaId(id), body))
}

/// Writes events of one type under the id its schema is registered with.
pub struct Encoder<E> {
    id: SchemaId,
    schema: serde_avro_fast::Schema,
    event: std::marker::PhantomData<fn(E)>,
}

impl<E: Event> Encoder<E> {
    pub fn new(id: SchemaId) -> Result<Self, Codec> {
        Ok(Self { id, schema: parse(E::SCHEMA.name, E::SCHEMA.json)?, event: std::marker::PhantomData })
    }

    /// The framed value of `event`.
    pub fn encode(&self, event: &E) -> Result<Vec<u8>, Codec> {
        let mut value = Vec::with_capacity(256);
        value.push(MAGIC);
        value.extend_from_slice(&self.id.0.to_be_bytes());
        serde_avro_fast::to_datum(event, value, &mut SerializerConfig::new(&self.schema))
            .map_err(|source| Codec::Unwritable { name: E::SCHEMA.name, source })
    }
}

/// A schema some writer used, ready to read bodies with.
pub struct WriterSchema {
    name: String,
    schema: serde_avro_fast::Schema,
}

impl WriterSchema {
    /// Parses Avro schema JSON.
    pub fn parse(json: &str) -> Result<Self, Codec> {
        let name = serde_json::from_str::<serde_json::Value>(json)
            .ok()
            .and_then(|schema| schema.get("name").and_then(|name| name.as_str()).map(str::to_owned))
            .unwrap_or_default();
        let schema = parse(&name, json)?;
        Ok(Self { name, schema })
    }

    /// Record name without namespace.
    pub fn name(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or_default()
    }

    /// Reads a body as an `E`; another event's schema is refused.
    pub fn decode<E: Event>(&self, body: &[u8]) -> Result<E, Codec> {
        if self.name() != E::SCHEMA.name {
            return Err(Codec::OtherSchema { expected: E::SCHEMA.name, found: self.name.clone() });
        }
        serde_avro_fast::from_datum_slice(body, &self.schema).map_err(|source| Codec::Unreadable { name: E::SCHEMA.name, source })
    }

    /// Reads a body of any schema as JSON, for people.
    pub fn decode_json(&self, body: &[u8]) -> Result<serde_json::Value, Codec> {
        serde_avro_fast::from_datum_slice(body, &self.schema).map_err(|source| Codec::Unreadable { name: "value", source })
    }
}

fn parse(name: &str, json: &str) -> Result<serde_avro_fast::Schema, Codec> {
    json.parse().map_err(|source| Codec::SchemaUnusable { name: name.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_framed_is_named() {
        assert_eq!(unframe(&[0, 0, 0]), Err(Frame::TooShort(3)));
        assert_eq!(unframe(&[7, 0, 0, 0, 1, 9]), Err(Frame::WrongMagic(7)));
        assert_eq!(unframe(&[0, 0, 0, 1, 2, 9]), Ok((SchemaId(258), &[9_u8][..])));
    }
}
