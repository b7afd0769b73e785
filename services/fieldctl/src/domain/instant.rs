//! Points in time as people and files write them.

use std::time::Duration;

use events::Timestamp;

/// RFC 3339 (a space for the `T` and no zone, meaning UTC, are fine), or Unix time: seconds, milliseconds or
/// microseconds, told apart by size.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        return from_number(number);
    }
    let text = text.replacen(' ', "T", 1);
    Timestamp::from_rfc3339(&text).or_else(|| Timestamp::from_rfc3339(&format!("{text}Z")))
}

/// Seconds stay below 1e11 until the year 5138; milliseconds of that size are from 1973, microseconds from 1970.
fn from_number(number: f64) -> Option<Timestamp> {
    let seconds = match number.abs() {
        size if size < 1e11 => number,
        size if size < 1e14 => number / 1e3,
        _ => number / 1e6,
    };
    Timestamp::from_seconds(seconds)
}

/// A point in time, or how long before `now` it was (`10m`).
pub(crate) fn parse_since(text: &str, now: Timestamp) -> Option<Timestamp> {
    match parse_duration(text) {
        Some(ago) => Some(now.saturating_sub(ago)),
        None => parse(text),
    }
}

/// `90s`, `10m`, `1h 30m`
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    humantime_serde::re::humantime::parse_duration(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_instant_may_be_written_in_many_ways() {
        let instant = Timestamp::from_millis(1_769_847_330_000);
        for text in
            ["2026-01-31T08:15:30Z", "2026-01-31 08:15:30", "2026-01-31T10:15:30+02:00", "1769847330", "1769847330000", "1769847330000000"]
        {
            assert_eq!(parse(text), Some(instant), "{text}");
        }
        assert_eq!([parse("yesterday"), parse("NaN"), parse("")], [None; 3]);
    }

    #[test]
    fn since_may_be_an_instant_or_how_long_ago() {
        let now = Timestamp::from_millis(1_769_847_330_000);
        assert_eq!(parse_since("10m", now), Some(now.saturating_sub(Duration::from_mins(10))));
        assert_eq!(parse_since("2026-01-31T08:15:30Z", now), Some(now));
        assert_eq!(parse_since("soon", now), None);
    }
}
