//! What an operator keeps per key, and how it looks in the state topic.
//!
//! A snapshot is: format (1 byte), next input offset it reflects (8 bytes, big endian), the state. Its key is the state
//! key; keys that start with a NUL byte are the runtime's own.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Key of the record that holds the partition's position in its retry topic.
pub(crate) const RETRY_POSITION_KEY: &[u8] = b"\0retry-position";
/// Key of the record that holds the partition's position among the notices.
pub(crate) const NOTICE_POSITION_KEY: &[u8] = b"\0notice-position";
/// Key of the record that says since when the partition's source is silent.
pub(crate) const SILENT_SINCE_KEY: &[u8] = b"\0silent-since";

/// State of one key.
pub trait State: Default + Serialize + DeserializeOwned + Send + 'static {
    /// The newest format. Raise it when the fields change, and keep the one before as [`PREVIOUS`](Self::PREVIOUS).
    const FORMAT: u8;
    /// The format of the release before, which this one still reads and writes: a release can be rolled back.
    const PREVIOUS: u8 = Self::FORMAT;

    /// Reads the state from a snapshot of `format`.
    fn read(format: u8, bytes: &[u8]) -> Result<Self, StateUnreadable> {
        if format != Self::FORMAT {
            return Err(StateUnreadable::OtherFormat { found: format, known: Self::FORMAT });
        }
        Ok(postcard::from_bytes(bytes)?)
    }

    /// Appends the state in `format` to `bytes`.
    fn write(&self, format: u8, bytes: Vec<u8>) -> Result<Vec<u8>, StateUnreadable> {
        if format != Self::FORMAT {
            return Err(StateUnreadable::OtherFormat { found: format, known: Self::FORMAT });
        }
        Ok(postcard::to_extend(self, bytes)?)
    }

    /// A state that says nothing a new key would not say, and waits for nothing: its key is forgotten.
    fn is_idle(&self) -> bool {
        false
    }
}

/// A snapshot this release cannot read.
#[derive(Debug, thiserror::Error)]
pub enum StateUnreadable {
    #[error("a snapshot of {0} bytes is too short")]
    TooShort(usize),
    #[error("a snapshot has format {found}; this release knows {known}")]
    OtherFormat { found: u8, known: u8 },
    #[error("a snapshot cannot be read: {0}")]
    Malformed(#[from] postcard::Error),
}

/// Which format snapshots are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StateFormat {
    /// The one the release before can read.
    Previous,
    Newest,
}

/// The bytes of a snapshot that reflects the input up to, not including, `next_offset`.
pub(crate) fn encode_snapshot<S: State>(state: &S, next_offset: i64, format: StateFormat) -> Result<Vec<u8>, StateUnreadable> {
    let format = match format {
        StateFormat::Previous => S::PREVIOUS,
        StateFormat::Newest => S::FORMAT,
    };
    let mut bytes = Vec::with_capacity(64);
    bytes.push(format);
    bytes.extend_from_slice(&next_offset.to_be_bytes());
    state.write(format, bytes)
}

/// The state in a snapshot, and the next input offset it reflects.
pub fn decode_snapshot<S: State>(bytes: &[u8]) -> Result<(S, i64), StateUnreadable> {
    let too_short = || StateUnreadable::TooShort(bytes.len());
    let (format, rest) = bytes.split_first().ok_or_else(too_short)?;
    let (next_offset, body) = rest.split_first_chunk().ok_or_else(too_short)?;
    Ok((S::read(*format, body)?, i64::from_be_bytes(*next_offset)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Count(u64);

    impl State for Count {
        const FORMAT: u8 = 3;
    }

    #[test]
    fn a_snapshot_carries_state_and_offset() {
        let bytes = encode_snapshot(&Count(7), 42, StateFormat::Newest).unwrap();
        assert_eq!(decode_snapshot::<Count>(&bytes).unwrap(), (Count(7), 42));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        assert!(matches!(decode_snapshot::<Count>(&[3, 0]), Err(StateUnreadable::TooShort(2))));
        let mut bytes = encode_snapshot(&Count(7), 42, StateFormat::Newest).unwrap();
        bytes[0] = 9;
        assert!(matches!(decode_snapshot::<Count>(&bytes), Err(StateUnreadable::OtherFormat { found: 9, known: 3 })));
    }
}
