//! A producer's first record in a partition goes alone.
//!
//! A broker that is about to lead a partition refuses a batch, and may take the next one, which was under way behind it:
//! where it has nothing of a producer yet, any sequence number will do. librdkafka (2.12) believes that whoever has the later
//! batch has the earlier one too, and reports both as delivered: the first is lost. Once a broker has one batch, it refuses
//! whatever does not follow. So until a partition has acknowledged a record, no second one is given to the client for it.
//!
//! Does not cover a topic that is deleted and made again under a running producer.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use events::partitioner::partition_of;
use rdkafka::producer::Partitioner;

/// Brokers forget a producer that was silent for a day (`producer.id.expiration.ms`).
const REMEMBERED: Duration = Duration::from_hours(1);
/// No partition: librdkafka refuses the record, and whoever sent it has it back.
const NOT_NOW: i32 = i32::MAX;

/// Who has met the producer. It chooses the partitions (`murmur2`; any for a record without a key), for they are known no
/// sooner.
#[derive(Default)]
pub(crate) struct Introductions {
    topics: Mutex<HashMap<String, Topic>>,
    /// First records under way: most of the time there are none.
    under_way: AtomicUsize,
    keyless: AtomicU32,
}

#[derive(Default)]
struct Topic {
    /// Before the client knows a topic, it keeps records for it and chooses their partitions later.
    known: Acquaintance,
    partitions: BTreeMap<i32, Acquaintance>,
}

#[derive(Clone, Copy, Default)]
enum Acquaintance {
    #[default]
    None,
    /// The first record is under way.
    Asked,
    /// The last record was sent then.
    Made(Instant),
}

impl Acquaintance {
    /// Whether a record may be sent now; it is.
    fn admits(&mut self, now: Instant, under_way: &AtomicUsize) -> bool {
        match self {
            Self::Made(last) if now.duration_since(*last) < REMEMBERED => *last = now,
            Self::Asked => return false,
            Self::Made(_) | Self::None => {
                under_way.fetch_add(1, Ordering::SeqCst);
                *self = Self::Asked;
            }
        }
        true
    }

    fn ended(&mut self, well: bool, under_way: &AtomicUsize) {
        if let Self::Asked = self {
            under_way.fetch_sub(1, Ordering::SeqCst);
            *self = if well { Self::Made(Instant::now()) } else { Self::None };
        }
    }
}

impl Introductions {
    /// Whether a record for `topic` may be given to the client; without a partition, as far as that can be said before the
    /// client asks for one.
    pub(crate) fn admits(&self, topic: &str, partition: Option<i32>) -> bool {
        let mut topics = self.topics();
        if !topics.contains_key(topic) {
            topics.insert(topic.to_owned(), Topic::default());
        }
        let Some(topic) = topics.get_mut(topic) else { return false };
        let acquaintance = match partition {
            Some(partition) => topic.partitions.entry(partition).or_default(),
            None => &mut topic.known,
        };
        acquaintance.admits(Instant::now(), &self.under_way)
    }

    /// Whether Kafka has what was admitted.
    pub(crate) fn ended(&self, topic: &str, partition: Option<i32>, well: bool) {
        if self.under_way.load(Ordering::SeqCst) == 0 {
            return;
        }
        if let Some(topic) = self.topics().get_mut(topic) {
            topic.known.ended(well, &self.under_way);
            if let Some(acquaintance) = partition.and_then(|partition| topic.partitions.get_mut(&partition)) {
                acquaintance.ended(well, &self.under_way);
            }
        }
    }

    fn topics(&self) -> MutexGuard<'_, HashMap<String, Topic>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Partitioner for Introductions {
    fn partition(&self, topic: &str, key: Option<&[u8]>, partitions: i32, _is_available: impl Fn(i32) -> bool) -> i32 {
        let count = partitions.unsigned_abs().max(1);
        let any = || self.keyless.fetch_add(1, Ordering::Relaxed) % count;
        let partition = key.map_or_else(any, |key| partition_of(key, count)) as i32;
        if self.admits(topic, Some(partition)) { partition } else { NOT_NOW }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_record_goes_alone_and_the_first_after_a_long_silence_too() {
        let (mut acquaintance, under_way, start) = (Acquaintance::default(), AtomicUsize::new(0), Instant::now());
        let admits = |acquaintance: &mut Acquaintance, after| acquaintance.admits(start + after, &under_way);
        assert!(admits(&mut acquaintance, Duration::ZERO));
        assert!(!admits(&mut acquaintance, Duration::ZERO), "the first is under way");
        acquaintance.ended(false, &under_way);
        assert!(admits(&mut acquaintance, Duration::ZERO), "it did not arrive");
        acquaintance.ended(true, &under_way);
        for _ in 0..3 {
            assert!(admits(&mut acquaintance, REMEMBERED / 2));
        }
        assert!(admits(&mut acquaintance, REMEMBERED / 2 + REMEMBERED));
        assert!(!admits(&mut acquaintance, REMEMBERED / 2 + REMEMBERED), "the broker may have forgotten the producer");
        assert_eq!(under_way.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn each_partition_meets_the_producer_alone_and_a_record_that_may_not_go_has_none() {
        let producer = Introductions::default();
        let partition = |key: Option<&[u8]>| producer.partition("readings", key, 3, |_| true);
        assert!(producer.admits("readings", None), "nobody knows yet which partitions there are");
        assert!(!producer.admits("readings", None));
        let of_key = partition(Some(b"sensor-1"));
        assert_eq!(of_key, partition_of(b"sensor-1", 3) as i32);
        assert_eq!(partition(Some(b"sensor-1")), NOT_NOW);
        producer.ended("readings", Some(of_key), true);
        assert_eq!(partition(Some(b"sensor-1")), of_key);
        assert!(producer.admits("readings", None), "they are known by now");
        let next = || {
            let partition = partition(None);
            producer.ended("readings", Some(partition), true);
            partition
        };
        assert_eq!(std::iter::repeat_with(next).take(6).collect::<Vec<_>>(), [0, 1, 2, 0, 1, 2]);
    }
}
