//! Event time: microseconds since the Unix epoch, UTC, as Avro's `timestamp-micros`.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A point in time in microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Earlier than any event; the start value of "highest seen so far".
    pub const MIN: Self = Self(i64::MIN);

    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// From fractional Unix seconds; `None` when not finite or outside the years 1970 to 9999.
    pub fn from_seconds(seconds: f64) -> Option<Self> {
        (0.0..=253_402_300_799.0).contains(&seconds).then(|| Self((seconds * 1e6).round() as i64))
    }

    /// From RFC 3339 text with any offset.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        OffsetDateTime::parse(text, &Rfc3339).ok().map(Self::from)
    }

    pub const fn as_micros(self) -> i64 {
        self.0
    }

    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// `None` outside the years the calendar library knows (±9999).
    pub fn to_datetime(self) -> Option<OffsetDateTime> {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000).ok()
    }

    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// Time from `earlier` to `self`; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl From<OffsetDateTime> for Timestamp {
    fn from(at: OffsetDateTime) -> Self {
        Self((at.unix_timestamp_nanos() / 1_000) as i64)
    }
}

impl From<SystemTime> for Timestamp {
    fn from(at: SystemTime) -> Self {
        let micros = match at.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros),
        };
        Self(micros)
    }
}

/// RFC 3339 in UTC with microseconds, e.g. `2026-01-31T08:15:30.000250Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(at) = self.to_datetime() else { return write!(f, "{}us", self.0) };
        let (year, month, day) = at.to_calendar_date();
        let (hour, minute, second, micros) = (at.hour(), at.minute(), at.second(), at.microsecond());
        write!(f, "{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z", u8::from(month))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back_is_the_same_instant() {
        let at = Timestamp::from_micros(1_769_847_330_000_250);
        assert_eq!(at.to_string(), "2026-01-31T08:15:30.000250Z");
        assert_eq!(Timestamp::from_rfc3339(&at.to_string()), Some(at));
        assert_eq!(Timestamp::from_rfc3339("2026-01-31T10:15:30.00025+02:00"), Some(at));
    }

    #[test]
    fn seconds_that_are_no_time_are_refused() {
        assert_eq!(Timestamp::from_seconds(f64::NAN), None);
        assert_eq!(Timestamp::from_seconds(-1.0), None);
        assert_eq!(Timestamp::from_seconds(1e15), None);
        assert_eq!(Timestamp::from_seconds(1.5), Some(Timestamp::from_micros(1_500_000)));
    }

    #[test]
    fn time_before_the_epoch_keeps_its_order() {
        let before = Timestamp::from(UNIX_EPOCH - Duration::from_secs(1));
        assert_eq!(before.as_micros(), -1_000_000);
        assert_eq!(before.since(Timestamp::default()), Duration::ZERO);
    }
}
