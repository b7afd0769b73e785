//! How often each API key may ask. Counted by each replica for itself.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::domain::rate::Bucket;

/// Keys remembered before those that are quiet are forgotten.
const MANY: usize = 10_000;

pub struct RateLimits {
    per_second: u32,
    burst: u32,
    started: Instant,
    buckets: Mutex<HashMap<Uuid, Bucket>>,
}

impl RateLimits {
    pub fn new(per_second: u32, burst: u32) -> Self {
        Self { per_second, burst, started: Instant::now(), buckets: Mutex::default() }
    }

    /// Counts a request of a key; how long it should wait when that is one too many.
    pub(super) fn take(&self, key_id: Uuid) -> Result<(), Duration> {
        let now = self.started.elapsed();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MANY {
            buckets.retain(|_, bucket| !bucket.is_full(self.per_second, self.burst, now));
        }
        buckets.entry(key_id).or_insert_with(|| Bucket::new(self.burst, now)).take(self.per_second, self.burst, now)
    }
}
