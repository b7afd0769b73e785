//! What was taken from the broker and is neither in Kafka nor on disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts messages and bytes in flight; shared.
#[derive(Debug, Default)]
pub struct InFlight {
    taken: AtomicU64,
    released: AtomicU64,
    bytes: AtomicU64,
}

/// One message in flight, until dropped.
#[derive(Debug)]
pub struct Counted {
    in_flight: Arc<InFlight>,
    bytes: u64,
}

impl InFlight {
    pub fn count(self: &Arc<Self>, bytes: usize) -> Counted {
        let bytes = bytes as u64;
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.taken.fetch_add(1, Ordering::Relaxed);
        Counted { in_flight: Arc::clone(self), bytes }
    }

    pub fn messages(&self) -> u64 {
        self.taken.load(Ordering::Relaxed).saturating_sub(self.released())
    }

    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Messages acknowledged since the start.
    pub fn released(&self) -> u64 {
        self.released.load(Ordering::Relaxed)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.in_flight.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.in_flight.released.fetch_add(1, Ordering::Relaxed);
    }
}
