//! What was written or published, by aggregate, and how the two have to agree.

use std::collections::{BTreeMap, HashSet};

/// Payloads of each aggregate, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Log(BTreeMap<String, Vec<Vec<u8>>>);

impl FromIterator<(String, Vec<u8>)> for Log {
    fn from_iter<I: IntoIterator<Item = (String, Vec<u8>)>>(records: I) -> Self {
        let mut log = Self::default();
        for (aggregate, payload) in records {
            log.0.entry(aggregate).or_default().push(payload);
        }
        log
    }
}

impl Log {
    pub(crate) fn len(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    pub(crate) fn aggregates(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn of(&self, aggregate: &str) -> Vec<String> {
        let payloads = self.0.get(aggregate).into_iter().flatten();
        payloads.map(|payload| String::from_utf8_lossy(payload).into_owned()).collect()
    }

    pub(crate) fn contains(&self, aggregate: &str, payload: &[u8]) -> bool {
        self.0.get(aggregate).is_some_and(|payloads| payloads.iter().any(|found| found == payload))
    }

    /// How many records repeat an earlier one.
    pub(crate) fn repeats(&self) -> usize {
        self.len() - self.once().len()
    }

    /// The first time each record came.
    pub(crate) fn once(&self) -> Self {
        let first = |payloads: &Vec<Vec<u8>>| {
            let mut seen = HashSet::new();
            payloads.iter().filter(|payload| seen.insert(*payload)).cloned().collect()
        };
        Self(self.0.iter().map(|(aggregate, payloads)| (aggregate.clone(), first(payloads))).collect())
    }

    /// The last time each record came.
    pub(crate) fn at_last(&self) -> Self {
        let mut log = self.backwards().once();
        log = log.backwards();
        log
    }

    fn backwards(&self) -> Self {
        let backwards = |payloads: &Vec<Vec<u8>>| payloads.iter().rev().cloned().collect();
        Self(self.0.iter().map(|(aggregate, payloads)| (aggregate.clone(), backwards(payloads))).collect())
    }

    /// Nothing is lost and nothing overtakes, however often a part of it is repeated.
    pub(crate) fn assert_repeats_only(&self, written: &Self) {
        assert_eq!(&self.once(), written, "the first time each record came");
        assert_eq!(&self.at_last(), written, "the last time each record came");
    }
}
