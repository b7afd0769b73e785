//! Silences: what matches is not told of for a while.

use events::{Labels, Timestamp};
use serde::{Deserialize, Serialize};

use super::matcher::{Matcher, all_match};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Silence {
    /// All must hold, and one at least must ask for something.
    pub matchers: Vec<Matcher>,
    #[serde(with = "rfc3339")]
    pub starts_at: Timestamp,
    #[serde(with = "rfc3339")]
    pub ends_at: Timestamp,
    /// Why.
    #[serde(default)]
    pub comment: String,
}

impl Silence {
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.starts_at <= now && now < self.ends_at
    }

    pub fn covers(&self, labels: &Labels, now: Timestamp) -> bool {
        self.is_active(now) && all_match(&self.matchers, labels)
    }

    pub fn mistakes(&self) -> Vec<(String, String)> {
        let mut mistakes = Vec::new();
        if self.matchers.iter().all(Matcher::matches_nothing_said) {
            mistakes.push(("/matchers".to_owned(), "would silence everything".to_owned()));
        }
        if self.ends_at <= self.starts_at {
            mistakes.push(("/ends_at".to_owned(), "is not after starts_at".to_owned()));
        }
        if self.comment.chars().count() > 1_000 || self.comment.contains('\0') {
            mistakes.push(("/comment".to_owned(), "has more than 1000 characters, or NUL".to_owned()));
        }
        mistakes
    }
}

mod rfc3339 {
    use events::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
    pub(super) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(at)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        Timestamp::from_rfc3339(&text).ok_or_else(|| de::Error::custom(format!("`{text}` is not a time like 2026-01-31T08:15:30Z")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_holds_from_its_beginning_until_its_end() {
        let silence: Silence = serde_json::from_value(serde_json::json!({
            "matchers": ["device_id=~\"freezer-.*\""], "starts_at": "2026-01-31T08:00:00Z", "ends_at": "2026-01-31T09:00:00+00:00"
        }))
        .unwrap();
        assert_eq!(silence.mistakes(), []);
        let freezer = Labels::from([("device_id".to_owned(), "freezer-1".to_owned())]);
        let covers = |labels: &Labels, text: &str| silence.covers(labels, Timestamp::from_rfc3339(text).unwrap());
        assert!(covers(&freezer, "2026-01-31T08:00:00Z") && covers(&freezer, "2026-01-31T08:59:59Z"));
        assert!(!covers(&freezer, "2026-01-31T07:59:59Z") && !covers(&freezer, "2026-01-31T09:00:00Z"));
        assert!(!covers(&Labels::new(), "2026-01-31T08:30:00Z"));
    }

    #[test]
    fn a_silence_of_everything_is_refused() {
        for matchers in [serde_json::json!([]), serde_json::json!(["team!=\"x\"", "a=~\".*\""])] {
            let silence =
                serde_json::json!({ "matchers": matchers, "starts_at": "2026-01-31T08:00:00Z", "ends_at": "2026-01-31T08:00:00Z" });
            let mistakes = serde_json::from_value::<Silence>(silence).unwrap().mistakes();
            assert_eq!(mistakes.iter().map(|mistake| mistake.0.as_str()).collect::<Vec<_>>(), ["/matchers", "/ends_at"]);
        }
    }
}
