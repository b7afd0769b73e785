//! Where a committed partition stands; travels as the metadata of the committed offset.

use events::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// From here on the input must be replayed to rebuild memory.
    pub(crate) replay_from: i64,
    /// The partition's time there.
    pub(crate) replay_time: Timestamp,
    /// The partition's time now: the highest `received_at` seen.
    pub(crate) time: Timestamp,
}

impl Progress {
    pub(crate) fn to_metadata(self) -> String {
        format!("v1 replay_from={} replay_time={} time={}", self.replay_from, self.replay_time.as_micros(), self.time.as_micros())
    }

    pub(crate) fn from_metadata(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        if words.next() != Some("v1") {
            return None;
        }
        let mut number = |name: &str| words.next()?.strip_prefix(name)?.parse().ok();
        let replay_from = number("replay_from=")?;
        let [replay_time, time] = [number("replay_time=")?, number("time=")?].map(Timestamp::from_micros);
        Some(Self { replay_from, replay_time, time })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_survives_the_way_through_the_committed_metadata() {
        let progress = Progress { replay_from: 42, replay_time: Timestamp::MIN, time: Timestamp::from_micros(-7) };
        assert_eq!(Progress::from_metadata(&progress.to_metadata()), Some(progress));
        assert_eq!(Progress::from_metadata(""), None);
        assert_eq!(Progress::from_metadata("v2 replay_from=1 time=2"), None);
    }
}
