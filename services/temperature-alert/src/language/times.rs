//! Durations, days and hours as words.

use std::time::Duration;

use jiff::civil::{Time, Weekday};

/// `90s`, `5m`, `1h 30m`, `7d`; never zero.
pub fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration.is_zero() => Err(format!("`{text}` is no time at all")),
        Ok(duration) => Ok(duration),
        Err(_) => Err(format!("`{text}` is no duration: write 90s, 5m, 1h 30m or 7d")),
    }
}

/// `08:30`; `24:00` is the midnight that ends the day.
pub(super) fn hour(text: &str) -> Result<Time, String> {
    let parts = text.split_once(':').filter(|(hour, minute)| hour.len() == 2 && minute.len() == 2);
    let time = parts.and_then(|(hour, minute)| Some((hour.parse::<i8>().ok()?, minute.parse::<i8>().ok()?)));
    let time = time.and_then(|(hour, minute)| match (hour, minute) {
        (24, 0) => Some(Time::midnight()),
        _ => Time::new(hour, minute, 0, 0).ok(),
    });
    time.ok_or_else(|| format!("`{text}` is no time of day: write \"08:30\", in quotes"))
}

/// `mon` or `mon-fri`.
pub(super) fn days(text: &str) -> Result<Vec<Weekday>, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (Some(first), Some(last)) = (day(first), day(last)) else {
        return Err(format!("`{text}` is no day: write mon, tue, wed, thu, fri, sat, sun or mon-fri"));
    };
    let mut days = vec![first];
    while days.last() != Some(&last) {
        days.extend(days.last().map(|day| day.next()));
    }
    Ok(days)
}

fn day(text: &str) -> Option<Weekday> {
    Some(match text {
        "mon" => Weekday::Monday,
        "tue" => Weekday::Tuesday,
        "wed" => Weekday::Wednesday,
        "thu" => Weekday::Thursday,
        "fri" => Weekday::Friday,
        "sat" => Weekday::Saturday,
        "sun" => Weekday::Sunday,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_of_days_may_go_over_the_weekend() {
        assert_eq!(days("sat-mon").unwrap(), [Weekday::Saturday, Weekday::Sunday, Weekday::Monday]);
        assert_eq!(days("wed").unwrap(), [Weekday::Wednesday]);
        assert!(days("monday").is_err());
    }

    #[test]
    fn a_week_has_seven_days_in_their_order() {
        let week = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].map(|text| day(text).unwrap());
        assert_eq!(week.map(Weekday::to_monday_one_offset), [1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn an_hour_has_two_digits_and_two_more() {
        assert_eq!(hour("24:00").unwrap(), Time::midnight());
        assert_eq!(hour("08:30").unwrap(), Time::constant(8, 30, 0, 0));
        assert!(["8:30", "25:00", "24:01", "noon"].into_iter().all(|text| hour(text).is_err()));
    }
}
