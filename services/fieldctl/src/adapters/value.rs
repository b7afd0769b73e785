//! A record's value for people: Avro as JSON, else text, else hex.

use std::fmt::Write as _;

use serde_json::Value;
use stream::decode::decode_json;
use stream::{Failure, Registry};

/// What a value turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Decoded {
    Avro(Value),
    Text(String),
    Hex(String),
    /// A tombstone.
    Nothing,
}

impl Decoded {
    /// Only a registry or network failure is an error: bytes nobody can read are shown as they are.
    pub(crate) async fn of(registry: &Registry, value: Option<&[u8]>) -> Result<Self, Failure> {
        let Some(value) = value else { return Ok(Self::Nothing) };
        match decode_json(registry, value).await {
            Ok(json) => Ok(Self::Avro(json)),
            Err(Failure::Poison(_)) => Ok(Self::plain(value)),
            Err(failure) => Err(failure),
        }
    }

    fn plain(value: &[u8]) -> Self {
        match std::str::from_utf8(value) {
            Ok(text) if !text.chars().any(|c| c.is_control() && !c.is_ascii_whitespace()) => Self::Text(text.to_owned()),
            _ => Self::Hex(hex(value)),
        }
    }

    pub(crate) fn encoding(&self) -> &'static str {
        match self {
            Self::Avro(_) => "avro",
            Self::Text(_) => "text",
            Self::Hex(_) => "hex",
            Self::Nothing => "none",
        }
    }

    pub(crate) fn into_json(self) -> Value {
        match self {
            Self::Avro(json) => json,
            Self::Text(text) | Self::Hex(text) => Value::String(text),
            Self::Nothing => Value::Null,
        }
    }
}

/// On one line.
impl std::fmt::Display for Decoded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Avro(json) => write!(f, "{json}"),
            Self::Text(text) => f.write_str(text.trim_end()),
            Self::Hex(hex) => write!(f, "0x{hex}"),
            Self::Nothing => f.write_str("(no value)"),
        }
    }
}

/// A key or header for people: text, else hex.
pub(crate) fn text(bytes: Option<&[u8]>) -> Option<String> {
    bytes.map(|bytes| std::str::from_utf8(bytes).map_or_else(|_| format!("0x{}", hex(bytes)), str::to_owned))
}

/// Headers as one JSON object; of a repeated name the last one counts.
pub(crate) fn headers_json(headers: &[(String, Option<Vec<u8>>)]) -> Value {
    headers.iter().map(|(name, value)| (name.clone(), text(value.as_deref()).map_or(Value::Null, Value::String))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_hex() {
        assert_eq!(Decoded::plain(b"{\"a\":\n1}"), Decoded::Text("{\"a\":\n1}".into()));
        assert_eq!(Decoded::plain(b"\x07text").to_string(), "0x0774657874");
        assert_eq!(Decoded::plain(&[0xff, 0xfe]).to_string(), "0xfffe");
    }
}
