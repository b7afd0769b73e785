//! Times of the week and the year in a time zone, in which routes are quiet (or only then are not).
//!
//! An interval holds where each part that is given holds; a mute time where one of its intervals does. Clock times are
//! those of the wall, daylight saving included.

use events::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const MONTHS: [&str; 12] =
    ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"];
/// Intervals of a mute time, and parts of an interval, at most.
const MOST: usize = 100;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MuteTime {
    /// IANA name, e.g. `Europe/Berlin`.
    #[serde(default = "utc")]
    pub time_zone: String,
    pub intervals: Vec<Interval>,
}

/// Ranges are `from:to`, both included, or one value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Interval {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub times: Vec<Times>,
    /// `monday:friday`, `sunday`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub weekdays: Vec<String>,
    /// `1:7`; from the month's end with a minus: `-1`, `-3:-1`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub days_of_month: Vec<String>,
    /// `december`, `6:8`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub months: Vec<String>,
}

/// From a clock time up to another, `24:00` at most; what crosses midnight is two of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Times {
    pub start_time: String,
    pub end_time: String,
}

fn utc() -> String {
    "UTC".to_owned()
}

impl MuteTime {
    /// Whether it holds at a time. One whose zone is not known never does; such are refused before.
    pub fn holds(&self, at: Timestamp) -> bool {
        let (Ok(zone), Ok(at)) = (TimeZone::get(&self.time_zone), jiff::Timestamp::from_microsecond(at.as_micros())) else { return false };
        let local = at.to_zoned(zone).datetime();
        self.intervals.iter().any(|interval| interval.holds(local))
    }

    pub fn mistakes(&self) -> Vec<(String, String)> {
        let mut mistakes = Vec::new();
        if TimeZone::get(&self.time_zone).is_err() {
            mistakes.push(("/time_zone".to_owned(), format!("`{}` is not a time zone like Europe/Berlin", self.time_zone)));
        }
        if self.intervals.is_empty() || self.intervals.len() > MOST {
            mistakes.push(("/intervals".to_owned(), format!("are not 1 to {MOST}")));
        }
        for (index, interval) in self.intervals.iter().enumerate() {
            mistakes.extend(interval.mistakes().into_iter().map(|(field, problem)| (format!("/intervals/{index}{field}"), problem)));
        }
        mistakes
    }
}

impl Interval {
    fn holds(&self, local: jiff::civil::DateTime) -> bool {
        let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
        let weekday = i32::from(Weekday::to_monday_zero_offset(local.weekday()));
        let (day, last) = (i32::from(local.day()), i32::from(local.days_in_month()));
        let within = |range: Option<(i32, i32)>, value: i32| range.is_some_and(|(from, to)| (from..=to).contains(&value));
        let any = |ranges: &[String], read: fn(&str) -> Option<(i32, i32)>, value: i32| {
            ranges.is_empty() || ranges.iter().any(|range| within(read(range), value))
        };
        let from_end = |day: i32| if day < 0 { last + 1 + day } else { day };
        let is_day = |range: &String| within(days(range).map(|(from, to)| (from_end(from), from_end(to))), day);
        (self.times.is_empty() || self.times.iter().any(|times| times.range().is_some_and(|(from, to)| (from..to).contains(&minute))))
            && any(&self.weekdays, weekdays, weekday)
            && any(&self.months, months, i32::from(local.month()))
            && (self.days_of_month.is_empty() || self.days_of_month.iter().any(is_day))
    }

    fn mistakes(&self) -> Vec<(String, String)> {
        let mut mistakes = Vec::new();
        let mut check = |field: String, good: bool, expected: &str| {
            if !good {
                mistakes.push((field, format!("is not {expected}")));
            }
        };
        let parts = [self.times.len(), self.weekdays.len(), self.days_of_month.len(), self.months.len()];
        check(String::new(), parts.iter().sum::<usize>() <= MOST && parts.iter().any(|part| *part > 0), "an interval of 1 to 100 parts");
        for (index, times) in self.times.iter().enumerate() {
            check(format!("/times/{index}"), times.range().is_some(), "a start_time before an end_time, like 08:00 and 24:00");
        }
        for (field, ranges, read, expected) in [
            ("weekdays", &self.weekdays, weekdays as fn(&str) -> Option<(i32, i32)>, "a weekday or a range like monday:friday"),
            ("days_of_month", &self.days_of_month, days, "a day or a range like 1:7 or -3:-1"),
            ("months", &self.months, months, "a month or a range like june:august"),
        ] {
            for (index, range) in ranges.iter().enumerate() {
                check(format!("/{field}/{index}"), read(range).is_some(), expected);
            }
        }
        mistakes
    }
}

impl Times {
    /// In minutes since midnight.
    fn range(&self) -> Option<(i32, i32)> {
        let (from, to) = (minutes(&self.start_time)?, minutes(&self.end_time)?);
        (from < to).then_some((from, to))
    }
}

fn minutes(text: &str) -> Option<i32> {
    let (hour, minute) = text.split_once(':')?;
    let two_digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    let (hour, minute): (i32, i32) = (two_digits(hour).then(|| hour.parse().ok())??, two_digits(minute).then(|| minute.parse().ok())??);
    let total = hour * 60 + minute;
    (minute < 60 && total <= 24 * 60).then_some(total)
}

/// A range of values that `read` knows, in order.
fn range(text: &str, read: impl Fn(&str) -> Option<i32>) -> Option<(i32, i32)> {
    let (from, to) = text.split_once(':').unwrap_or((text, text));
    let (from, to) = (read(from)?, read(to)?);
    (from <= to).then_some((from, to))
}

fn weekdays(text: &str) -> Option<(i32, i32)> {
    range(text, |day| WEEKDAYS.iter().position(|name| *name == day).map(|index| index as i32))
}

fn months(text: &str) -> Option<(i32, i32)> {
    let number = |text: &str| text.parse().ok().filter(|month| (1..=12).contains(month));
    range(text, |month| MONTHS.iter().position(|name| *name == month).map(|index| index as i32 + 1).or_else(|| number(month)))
}

fn days(text: &str) -> Option<(i32, i32)> {
    let (from, to) = text.split_once(':').unwrap_or((text, text));
    let day = |text: &str| text.parse().ok().filter(|day: &i32| *day != 0 && (-31..=31).contains(day));
    let (from, to) = (day(from)?, day(to)?);
    ((from > 0) != (to > 0) || from <= to).then_some((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mute(json: serde_json::Value) -> MuteTime {
        serde_json::from_value(json).unwrap()
    }

    fn holds(mute: &MuteTime, text: &str) -> bool {
        mute.holds(Timestamp::from_rfc3339(text).unwrap())
    }

    #[test]
    fn clock_times_are_those_of_the_zone_in_winter_and_in_summer() {
        let night = mute(serde_json::json!({
            "time_zone": "Europe/Berlin", "intervals": [{ "times": [{ "start_time": "22:00", "end_time": "24:00" }] }]
        }));
        assert_eq!(night.mistakes(), []);
        assert!(holds(&night, "2026-01-15T21:00:00Z") && !holds(&night, "2026-01-15T20:59:59Z"));
        assert!(holds(&night, "2026-07-15T20:00:00Z") && !holds(&night, "2026-07-15T22:00:00Z"));
    }

    #[test]
    fn every_part_of_an_interval_must_hold_and_of_intervals_one() {
        let quiet = mute(serde_json::json!({ "intervals": [
            { "weekdays": ["saturday:sunday"] },
            { "weekdays": ["monday:friday"], "times": [{ "start_time": "00:00", "end_time": "06:00" }] },
            { "months": ["december"], "days_of_month": ["24:26", "-1"] }
        ]}));
        assert_eq!(quiet.mistakes(), []);
        for (at, expected) in [
            ("2026-01-31T12:00:00Z", true),
            ("2026-01-30T12:00:00Z", false),
            ("2026-01-30T05:59:00Z", true),
            ("2026-12-25T12:00:00Z", true),
            ("2026-12-31T12:00:00Z", true),
            ("2026-12-30T12:00:00Z", false),
            ("2026-11-25T12:00:00Z", false),
        ] {
            assert_eq!(holds(&quiet, at), expected, "{at}");
        }
    }

    #[test]
    fn what_cannot_hold_is_refused() {
        let wrong = mute(serde_json::json!({ "time_zone": "Mars/Olympus", "intervals": [
            { "times": [{ "start_time": "22:00", "end_time": "06:00" }] },
            { "weekdays": ["friday:monday"], "days_of_month": ["0"], "months": ["smarch"] },
            {}
        ]}));
        let fields: Vec<String> = wrong.mistakes().into_iter().map(|(field, _)| field).collect();
        let expected = [
            "/time_zone",
            "/intervals/0/times/0",
            "/intervals/1/weekdays/0",
            "/intervals/1/days_of_month/0",
            "/intervals/1/months/0",
            "/intervals/2",
        ];
        assert_eq!(fields, expected);
    }
}
