//! An offline checker of what a topic says: the records expected of each key against those a `read_committed` reader saw.
//!
//! A record is recognised by its event id. Every difference has a name and the records it is about; offsets order a
//! key's records, and a key lives in one partition.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use events::headers;
use stream::Record;

/// A record, reduced to what the checker compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub partition: i32,
    pub offset: i64,
    pub key: String,
    pub event_id: String,
    pub value: Vec<u8>,
}

/// How an observed history differs from the expected one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Anomaly {
    /// Expected, and never seen.
    Lost(Entry),
    /// Seen a second time.
    Duplicate { first: Entry, again: Entry },
    /// Seen after a record of its key that it should precede.
    Reordered { late: Entry, after: Entry },
    /// Not expected at all.
    Unexpected(Entry),
    /// The event expected, with other bytes.
    Altered { expected: Entry, observed: Entry },
}

impl From<&Record> for Entry {
    fn from(record: &Record) -> Self {
        Self {
            partition: record.position.partition,
            offset: record.position.offset,
            key: String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned(),
            event_id: record.header(headers::CE_ID).unwrap_or_default().to_owned(),
            value: record.value.clone().unwrap_or_default(),
        }
    }
}

/// The records of a topic in the order of their partitions and offsets.
pub fn history(records: &[Record]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = records.iter().map(Entry::from).collect();
    entries.sort_by_key(|entry| (entry.partition, entry.offset));
    entries
}

/// Everything wrong with `observed`, both in the order of [`history`].
pub fn anomalies(expected: &[Entry], observed: &[Entry]) -> Vec<Anomaly> {
    let mut keys = BTreeMap::<&str, (Vec<&Entry>, Vec<&Entry>)>::new();
    for entry in expected {
        keys.entry(&entry.key).or_default().0.push(entry);
    }
    for entry in observed {
        keys.entry(&entry.key).or_default().1.push(entry);
    }
    keys.into_values().flat_map(|(expected, observed)| anomalies_of_key(&expected, &observed)).collect()
}

fn anomalies_of_key(expected: &[&Entry], observed: &[&Entry]) -> Vec<Anomaly> {
    let places: HashMap<&str, usize> = expected.iter().enumerate().map(|(place, entry)| (entry.event_id.as_str(), place)).collect();
    let mut seen = HashMap::<&str, &Entry>::new();
    let mut furthest: Option<(usize, &Entry)> = None;
    let mut found = Vec::new();
    for entry in observed.iter().copied() {
        if let Some(first) = seen.insert(&entry.event_id, entry) {
            found.push(Anomaly::Duplicate { first: first.clone(), again: entry.clone() });
            continue;
        }
        let Some(place) = places.get(entry.event_id.as_str()).copied() else {
            found.push(Anomaly::Unexpected(entry.clone()));
            continue;
        };
        if expected[place].value != entry.value {
            found.push(Anomaly::Altered { expected: expected[place].clone(), observed: entry.clone() });
        }
        match furthest {
            Some((ahead, after)) if place < ahead => found.push(Anomaly::Reordered { late: entry.clone(), after: after.clone() }),
            _ => furthest = Some((place, entry)),
        }
    }
    found.extend(expected.iter().filter(|entry| !seen.contains_key(entry.event_id.as_str())).map(|entry| Anomaly::Lost((*entry).clone())));
    found
}

/// Fails with a count of each anomaly and the first of them in full; `what` names the run.
pub fn assert_same_history(what: &str, expected: &[Entry], observed: &[Entry]) {
    const SHOWN: usize = 20;
    let found = anomalies(expected, observed);
    if found.is_empty() {
        return;
    }
    let mut counts = BTreeMap::<&str, usize>::new();
    for anomaly in &found {
        *counts.entry(anomaly.name()).or_default() += 1;
    }
    let shown: Vec<String> = found.iter().take(SHOWN).map(|anomaly| format!("  {anomaly}")).collect();
    panic!(
        "{what}: {} expected, {} observed, {counts:?}; the first {} of {}:\n{}",
        expected.len(),
        observed.len(),
        shown.len(),
        found.len(),
        shown.join("\n")
    );
}

impl Anomaly {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Lost(_) => "lost",
            Self::Duplicate { .. } => "duplicate",
            Self::Reordered { .. } => "reordered",
            Self::Unexpected(_) => "unexpected",
            Self::Altered { .. } => "altered",
        }
    }
}

impl fmt::Display for Anomaly {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match self {
            Self::Lost(entry) => write!(out, "{name}: {entry} of the expected history"),
            Self::Unexpected(entry) => write!(out, "{name}: {entry}"),
            Self::Duplicate { first, again } => write!(out, "{name}: {again}, first at {}@{}", first.partition, first.offset),
            Self::Reordered { late, after } => write!(out, "{name}: {late} came after {after}"),
            Self::Altered { expected, observed } => write!(
                out,
                "{name}: {observed} has other bytes: {} instead of {}",
                String::from_utf8_lossy(&observed.value).escape_debug(),
                String::from_utf8_lossy(&expected.value).escape_debug()
            ),
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, offset, key, event_id, value } = self;
        write!(out, "{key} {event_id} at {partition}@{offset} ({} bytes)", value.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(offset: i64, key: &str, event_id: &str) -> Entry {
        Entry { partition: 0, offset, key: key.into(), event_id: event_id.into(), value: event_id.into() }
    }

    /// One key, the events in this order.
    fn of(events: &[&str]) -> Vec<Entry> {
        events.iter().zip(0..).map(|(event, offset)| entry(offset, "sensor-1", event)).collect()
    }

    fn found(expected: &[&str], observed: &[&str]) -> Vec<Anomaly> {
        anomalies(&of(expected), &of(observed))
    }

    #[test]
    fn the_same_history_at_other_offsets_and_with_keys_interleaved_is_sound() {
        let expected = [entry(0, "a", "a1"), entry(1, "a", "a2"), entry(2, "b", "b1")];
        let observed = [entry(7, "b", "b1"), entry(8, "a", "a1"), entry(20, "a", "a2")];
        assert_eq!(anomalies(&expected, &observed), []);
    }

    #[test]
    fn a_record_never_seen_is_lost() {
        assert_eq!(found(&["1", "2", "3"], &["1", "3"]), [Anomaly::Lost(entry(1, "sensor-1", "2"))]);
    }

    #[test]
    fn a_whole_key_never_seen_is_lost() {
        assert_eq!(found(&["1"], &[]), [Anomaly::Lost(entry(0, "sensor-1", "1"))]);
    }

    #[test]
    fn a_record_seen_twice_is_a_duplicate_wherever_it_comes_again() {
        let duplicate = |at, event| Anomaly::Duplicate { first: entry(0, "sensor-1", event), again: entry(at, "sensor-1", event) };
        assert_eq!(found(&["1", "2"], &["1", "1", "2"]), [duplicate(1, "1")]);
        assert_eq!(found(&["1", "2"], &["1", "2", "1"]), [duplicate(2, "1")]);
    }

    #[test]
    fn a_record_after_one_it_should_precede_is_reordered() {
        let reordered = Anomaly::Reordered { late: entry(1, "sensor-1", "1"), after: entry(0, "sensor-1", "2") };
        assert_eq!(found(&["1", "2", "3"], &["2", "1", "3"]), [reordered]);
    }

    #[test]
    fn a_record_nobody_expects_is_unexpected() {
        assert_eq!(found(&["1"], &["1", "9"]), [Anomaly::Unexpected(entry(1, "sensor-1", "9"))]);
        assert_eq!(found(&[], &["9", "9"]).iter().map(Anomaly::name).collect::<Vec<_>>(), ["unexpected", "duplicate"]);
    }

    #[test]
    fn an_event_with_other_bytes_is_altered() {
        let (expected, mut observed) = (of(&["1"]), of(&["1"]));
        observed[0].value = b"else".to_vec();
        let altered = Anomaly::Altered { expected: expected[0].clone(), observed: observed[0].clone() };
        assert_eq!(anomalies(&expected, &observed), [altered]);
    }

    #[test]
    fn a_lost_record_is_not_taken_for_a_change_of_order() {
        assert_eq!(found(&["1", "2", "3", "4"], &["2", "4"]).iter().map(Anomaly::name).collect::<Vec<_>>(), ["lost", "lost"]);
    }

    #[test]
    #[should_panic(
        expected = "seed 7: 2 expected, 2 observed, {\"duplicate\": 1, \"lost\": 1}; the first 2 of 2:\n  duplicate: sensor-1 1 at 0@1"
    )]
    fn a_failure_names_the_run_the_counts_and_the_records() {
        assert_same_history("seed 7", &of(&["1", "2"]), &of(&["1", "1"]));
    }
}
