//! Lengths of time as configuration writes them: `30s`, `5m`, `4h`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// A length of time of at least a millisecond and at most a year.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Period(Duration);

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a time like 30s, 5m or 4h, up to a year")]
pub struct NotAPeriod(String);

impl Period {
    const LONGEST: Duration = Duration::from_hours(24 * 366);

    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for Period {
    type Err = NotAPeriod;

    fn from_str(text: &str) -> Result<Self, NotAPeriod> {
        let duration = text.parse::<SignedDuration>().ok().and_then(|signed| Duration::try_from(signed).ok());
        let within = |duration: &Duration| (Duration::from_millis(1)..=Self::LONGEST).contains(duration);
        duration.filter(within).map(Self).ok_or_else(|| NotAPeriod(text.to_owned()))
    }
}

impl TryFrom<String> for Period {
    type Error = NotAPeriod;

    fn try_from(text: String) -> Result<Self, NotAPeriod> {
        text.parse()
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", SignedDuration::try_from(self.0).unwrap_or(SignedDuration::MAX))
    }
}

impl From<Period> for String {
    fn from(period: Period) -> Self {
        period.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_read_as_people_write_it() {
        for (text, seconds) in [("30s", 30), ("5m", 300), ("4h", 14_400), ("1h 30m", 5_400)] {
            assert_eq!(text.parse(), Ok(Period::from_secs(seconds)), "{text}");
        }
        assert_eq!(Period::from_secs(14_400).to_string(), "4h");
        for text in ["", "0s", "-5m", "soon", "9000h", "5"] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }
}
