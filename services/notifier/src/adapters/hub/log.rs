//! What a stream missed longer ago than the hub remembers: read from Kafka again, up to where the hub stands.

use std::collections::BTreeSet;

use stream::tail::{From, Offsets, Seen, Tail};
use stream::{Failure, Record};
use tokio::sync::OwnedSemaphorePermit;

use super::{Frame, Hub};
use crate::domain::position::Position;

/// Reads one stream's missed changes.
pub struct CatchUp {
    hub: Hub,
    tail: Tail,
    /// Partitions that are still behind the hub's position.
    behind: BTreeSet<i32>,
    upto: Position,
    /// Taken from the log and not yet read, should a wait have been cancelled.
    pending: Option<Record>,
    _permit: OwnedSemaphorePermit,
}

/// The position asked for is not in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Gone {
    #[error("what followed it is no longer kept")]
    Expired,
    #[error("the log does not reach that far; it is another one")]
    Unknown,
}

impl Gone {
    /// As a `gap` names it.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Unknown => "unknown_position",
        }
    }
}

impl Hub {
    /// Waits for its turn, so that many streams that come back at once do not open as many consumers.
    pub async fn turn_to_catch_up(&self) -> Result<OwnedSemaphorePermit, Failure> {
        std::sync::Arc::clone(&self.shared.catch_ups).acquire_owned().await.map_err(Failure::fatal)
    }

    /// Opens the log at `from`, to be read up to `upto`, where the stream's subscription begins.
    pub async fn catch_up(&self, permit: OwnedSemaphorePermit, from: &Position, upto: Position) -> Result<Result<CatchUp, Gone>, Failure> {
        if from.partitions() != upto.partitions() {
            return Ok(Err(Gone::Unknown));
        }
        let wanted: Offsets = (0..).zip(from.next_offsets().iter().copied()).collect();
        let tail = self.open_tail(self.shared.topic.clone(), From::Offsets(wanted)).await?;
        let (tail, kept) = tokio::task::spawn_blocking(move || {
            let kept = tail.beginnings().and_then(|beginnings| Ok((beginnings, tail.ends()?)));
            (tail, kept)
        })
        .await
        .map_err(Failure::fatal)?;
        let (beginnings, ends) = kept?;
        let compare = |bounds: &Offsets, wrong: fn(i64, i64) -> bool| {
            bounds.iter().any(|(partition, bound)| from.next_offsets().get(*partition as usize).is_none_or(|next| wrong(*next, *bound)))
        };
        if compare(&ends, |next, end| next > end) {
            return Ok(Err(Gone::Unknown));
        }
        if compare(&beginnings, |next, beginning| next < beginning) {
            return Ok(Err(Gone::Expired));
        }
        let pairs = from.next_offsets().iter().zip(upto.next_offsets());
        let behind = (0..).zip(pairs).filter(|(_, (from, upto))| from < upto).map(|(partition, _)| partition).collect();
        Ok(Ok(CatchUp { hub: self.clone(), tail, behind, upto, pending: None, _permit: permit }))
    }
}

impl CatchUp {
    /// The next change; `None` when the stream has everything before its subscription. May be cancelled.
    pub async fn next(&mut self) -> Result<Option<Frame>, Failure> {
        loop {
            if let Some(record) = &self.pending {
                let read = Frame::read(&self.hub.shared.registry, record).await;
                self.pending = None;
                match read {
                    Err(Failure::Poison(_)) => {}
                    read => return read.map(Some),
                }
            }
            if self.behind.is_empty() {
                return Ok(None);
            }
            match self.tail.next().await? {
                Seen::End(partition) => {
                    self.behind.remove(&partition);
                }
                Seen::Record(record) => {
                    let (partition, offset) = (record.position.partition, record.position.offset);
                    if !self.upto.is_past(partition, offset + 1) {
                        self.behind.remove(&partition);
                    }
                    self.pending = Some(record);
                }
            }
        }
    }
}
