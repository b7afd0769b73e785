//! What a stage keeps of one key, read from outside.

use events::topics;

use super::State;
use super::state::decode_snapshot;
use crate::tail::{From, ToEnd};
use crate::{Failure, KafkaConfig};

/// A key's newest snapshot.
pub struct LastSnapshot<S> {
    pub partition: i32,
    pub state: S,
    /// Of the input: what the snapshot does not hold yet begins here.
    pub next_offset: i64,
}

/// Reads the whole state topic of `stage`; `None` where nothing is kept of `key`.
pub async fn last_snapshot<S: State>(
    kafka: &KafkaConfig,
    client_id: &str,
    stage: &str,
    key: &str,
) -> Result<Option<LastSnapshot<S>>, Failure> {
    let mut last = None;
    let mut log = ToEnd::open(kafka, client_id, &kafka.prefixed(&topics::state(stage)), &From::Beginning)?;
    while let Some(record) = log.next().await? {
        if record.key.as_deref() == Some(key.as_bytes()) {
            last = Some((record.position.partition, record.value));
        }
    }
    let Some((partition, Some(bytes))) = last else { return Ok(None) };
    let (kept, next_offset) = decode_snapshot(&bytes).map_err(Failure::fatal)?;
    Ok(Some(LastSnapshot { partition, state: kept, next_offset }))
}
