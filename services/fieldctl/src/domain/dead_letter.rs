//! Dead letters: which ones are meant, and what becomes of one that is to be tried again.

use std::collections::BTreeSet;

use events::Timestamp;

/// Headers as they are on a record.
pub(crate) type Headers = Vec<(String, Option<Vec<u8>>)>;

/// What of a dead letter decides about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Letter {
    /// Of the dead-letter topic.
    pub(crate) partition: i32,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) reason: String,
    pub(crate) failed_at: Option<Timestamp>,
    /// Where the record stood when it first failed; none came from a topic of ours.
    pub(crate) origin_partition: Option<i32>,
    pub(crate) redrives: u32,
    pub(crate) truncated: bool,
}

/// Letters that are meant; an empty list means all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) reasons: BTreeSet<String>,
    pub(crate) keys: BTreeSet<String>,
    pub(crate) partitions: BTreeSet<i32>,
    /// Failed then or later.
    pub(crate) since: Option<Timestamp>,
}

impl Filter {
    pub(crate) fn matches(&self, letter: &Letter) -> bool {
        let key = letter.key.as_deref().unwrap_or_default();
        (self.reasons.is_empty() || self.reasons.contains(&letter.reason))
            && (self.keys.is_empty() || self.keys.iter().any(|wanted| wanted.as_bytes() == key))
            && (self.partitions.is_empty() || self.partitions.contains(&letter.partition))
            && self.since.is_none_or(|since| letter.failed_at.is_none_or(|failed_at| failed_at >= since))
    }
}

/// What becomes of a letter that is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is tried again, for the `redrives`-th time.
    Redrive { redrives: u32 },
    /// It failed too often already.
    Quarantined,
    /// Only its beginning was kept: what would be tried again is not what failed.
    Truncated,
}

impl Letter {
    /// A letter that was redriven `quarantine_after` times stays where it is.
    pub(crate) fn verdict(&self, quarantine_after: u32, include_quarantined: bool) -> Verdict {
        if self.truncated {
            Verdict::Truncated
        } else if self.redrives >= quarantine_after && !include_quarantined {
            Verdict::Quarantined
        } else {
            Verdict::Redrive { redrives: self.redrives.saturating_add(1) }
        }
    }
}

/// The headers of a redriven letter: all it has, with its redrives counted under `name`.
pub(crate) fn redriven(headers: &Headers, name: &str, redrives: u32) -> Headers {
    let kept = headers.iter().filter(|(key, _)| key != name).cloned();
    kept.chain([(name.to_owned(), Some(redrives.to_string().into_bytes()))]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> Letter {
        Letter {
            partition: 3,
            key: Some(b"sensor-01".to_vec()),
            reason: "bad_magic".into(),
            failed_at: Some(Timestamp::from_millis(1_000)),
            ..Letter::default()
        }
    }

    #[test]
    fn without_a_filter_every_letter_is_meant() {
        assert!(Filter::default().matches(&letter()) && Filter::default().matches(&Letter::default()));
    }

    #[test]
    fn every_part_of_a_filter_must_hold() {
        let all = Filter {
            reasons: ["bad_magic".to_owned(), "not_json".to_owned()].into(),
            keys: ["sensor-01".to_owned()].into(),
            partitions: [3].into(),
            since: Some(Timestamp::from_millis(1_000)),
        };
        assert!(all.matches(&letter()));
        for other in [
            Letter { reason: "schema_unknown".into(), ..letter() },
            Letter { key: Some(b"sensor-02".to_vec()), ..letter() },
            Letter { key: None, ..letter() },
            Letter { partition: 4, ..letter() },
            Letter { failed_at: Some(Timestamp::from_millis(999)), ..letter() },
        ] {
            assert!(!all.matches(&other), "{other:?}");
        }
    }

    #[test]
    fn the_third_redrive_is_the_last() {
        let redrives = |redrives| Letter { redrives, ..letter() }.verdict(3, false);
        let verdicts = [redrives(0), redrives(2), redrives(3), redrives(4)];
        let again = |redrives| Verdict::Redrive { redrives };
        assert_eq!(verdicts, [again(1), again(3), Verdict::Quarantined, Verdict::Quarantined]);
        assert_eq!(Letter { redrives: 3, ..letter() }.verdict(3, true), again(4));
    }

    #[test]
    fn what_was_cut_is_never_tried_again() {
        assert_eq!(Letter { truncated: true, ..letter() }.verdict(3, true), Verdict::Truncated);
    }

    #[test]
    fn a_redrive_counts_once_and_keeps_every_other_header() {
        let header = |name: &str, value: &str| (name.to_owned(), Some(value.as_bytes().to_vec()));
        let before = vec![header("ce_id", "1"), header("dlq-redrives", "1"), ("empty".to_owned(), None), header("ce_id", "2")];
        let after = vec![header("ce_id", "1"), ("empty".to_owned(), None), header("ce_id", "2"), header("dlq-redrives", "2")];
        assert_eq!(redriven(&before, "dlq-redrives", 2), after);
    }
}
