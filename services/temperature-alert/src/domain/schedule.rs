//! When a rule may begin an alert: days and hours of a time zone, from the database built into this binary, so that every
//! replica decides alike.

use std::fmt;

use events::Timestamp;
use jiff::civil::{Time, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Span, ToSpan as _};

/// Hours of some days of the week. `to` at or before `from` ends on the day after, which counts as its first day.
#[derive(Clone, PartialEq)]
pub struct Schedule {
    days: Vec<Weekday>,
    from: Time,
    to: Time,
    zone: TimeZone,
}

impl Schedule {
    /// `None`: no such time zone.
    pub fn new(days: Vec<Weekday>, from: Time, to: Time, zone: &str) -> Option<Self> {
        let zone = TimeZoneDatabase::bundled().get(zone).ok()?;
        Some(Self { days, from, to, zone })
    }

    pub fn is_active(&self, at: Timestamp) -> bool {
        let Ok(at) = jiff::Timestamp::from_microsecond(at.as_micros()) else { return false };
        let local = self.zone.to_datetime(at);
        let (time, today) = (local.time(), local.weekday());
        if self.from < self.to {
            return self.days.contains(&today) && self.from <= time && time < self.to;
        }
        (self.days.contains(&today) && self.from <= time) || (self.days.contains(&today.previous()) && time < self.to)
    }

    /// The first instant after `at` at which it becomes active.
    pub fn next_start(&self, at: Timestamp) -> Option<Timestamp> {
        let instant = jiff::Timestamp::from_microsecond(at.as_micros()).ok()?;
        let today = self.zone.to_datetime(instant).date();
        let span = |days: i64| -> Span { days.days() };
        (0..=8).find_map(|days| {
            let date = today.checked_add(span(days)).ok()?;
            if !self.days.contains(&date.weekday()) {
                return None;
            }
            let start = self.zone.to_timestamp(date.to_datetime(self.from)).ok()?;
            (start > instant).then(|| Timestamp::from_micros(start.as_microsecond()))
        })
    }
}

/// Says what the definition says, and not what the database knows of the zone: a rule's version is made of it.
impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { days, from, to, zone } = self;
        write!(f, "{days:?} {from} {to} {}", zone.iana_name().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_rfc3339(text).unwrap()
    }

    fn schedule(days: &[Weekday], from: i8, to: i8) -> Schedule {
        Schedule::new(days.to_vec(), Time::constant(from, 0, 0, 0), Time::constant(to, 0, 0, 0), "Europe/Berlin").unwrap()
    }

    #[test]
    fn hours_are_those_of_the_zone_also_across_the_change_of_clocks() {
        let office = schedule(&[Weekday::Monday, Weekday::Friday], 8, 18);
        assert!(!office.is_active(at("2026-01-05T06:59:59Z")));
        assert!(office.is_active(at("2026-01-05T07:00:00Z")));
        assert!(!office.is_active(at("2026-01-05T17:00:00Z")));
        assert!(office.is_active(at("2026-07-06T06:00:00Z")), "summer time");
        assert!(!office.is_active(at("2026-01-06T10:00:00Z")), "a Tuesday");
    }

    #[test]
    fn a_night_belongs_to_the_day_it_began() {
        let night = schedule(&[Weekday::Friday], 22, 6);
        assert!(night.is_active(at("2026-01-09T21:00:00Z")));
        assert!(night.is_active(at("2026-01-10T04:59:00Z")), "Saturday morning");
        assert!(!night.is_active(at("2026-01-10T05:00:00Z")), "it is over");
        assert!(!night.is_active(at("2026-01-09T04:59:00Z")), "Friday morning");
    }

    #[test]
    fn from_an_hour_to_the_same_hour_is_a_whole_day() {
        let day = schedule(&[Weekday::Friday], 6, 6);
        assert!(!day.is_active(at("2026-01-09T04:59:59Z")));
        assert!(day.is_active(at("2026-01-09T05:00:00Z")));
        assert!(day.is_active(at("2026-01-10T04:59:59Z")), "Saturday morning");
        assert!(!day.is_active(at("2026-01-10T05:00:00Z")));
    }

    #[test]
    fn what_a_version_is_made_of_tells_days_hours_and_zone() {
        assert_eq!(format!("{:?}", schedule(&[Weekday::Friday], 22, 6)), "[Friday] 22:00:00 06:00:00 Europe/Berlin");
    }

    #[test]
    fn the_next_start_is_the_next_of_its_days() {
        let office = schedule(&[Weekday::Monday, Weekday::Friday], 8, 18);
        assert_eq!(office.next_start(at("2026-01-05T06:00:00Z")), Some(at("2026-01-05T07:00:00Z")));
        assert_eq!(office.next_start(at("2026-01-05T07:00:00Z")), Some(at("2026-01-09T07:00:00Z")));
        assert_eq!(office.next_start(at("2026-03-28T12:00:00Z")), Some(at("2026-03-30T06:00:00Z")), "clocks changed");
    }
}
