//! A device's time, in whatever unit it sends.

use events::Timestamp;

use crate::domain::{Field, Reason, Reject};

/// Below: seconds (to the year 5138). The same instant in milliseconds and microseconds is 1,000 times more each.
const SECONDS_BELOW: f64 = 1e11;
const MILLIS_BELOW: f64 = 1e14;
const MICROS_BELOW: f64 = 1e17;

/// Reads a timestamp: Unix seconds, milliseconds or microseconds by their size, or RFC 3339.
pub(super) fn measured_at(field: &Field<'_>) -> Result<Timestamp, Reject> {
    let found = match field {
        Field::Integer(number) => from_integer(*number),
        Field::Number(number) => from_number(*number),
        Field::Text(text) => Timestamp::from_rfc3339(text),
        _ => return Err(Reject::new(Reason::WrongType, format!("the time is {}", field.kind()))),
    };
    found.ok_or_else(|| Reject::new(Reason::BadTimestamp, format!("{} is neither Unix time nor RFC 3339", shown(field))))
}

fn from_integer(number: i64) -> Option<Timestamp> {
    let size = number as f64;
    match number {
        ..0 => None,
        _ if size < SECONDS_BELOW => Some(Timestamp::from_micros(number * 1_000_000)),
        _ if size < MILLIS_BELOW => Some(Timestamp::from_millis(number)),
        _ if size < MICROS_BELOW => Some(Timestamp::from_micros(number)),
        _ => None,
    }
}

fn from_number(number: f64) -> Option<Timestamp> {
    if (0.0..SECONDS_BELOW).contains(&number) {
        Timestamp::from_seconds(number)
    } else if (SECONDS_BELOW..MILLIS_BELOW).contains(&number) {
        Timestamp::from_seconds(number / 1e3)
    } else {
        (MILLIS_BELOW..MICROS_BELOW).contains(&number).then(|| Timestamp::from_micros(number.round() as i64))
    }
}

fn shown(field: &Field<'_>) -> String {
    match field {
        Field::Integer(number) => number.to_string(),
        Field::Number(number) => number.to_string(),
        Field::Text(text) => format!("`{}`", text.chars().take(64).collect::<String>().escape_debug()),
        _ => field.kind().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSTANT: Timestamp = Timestamp::from_micros(1_769_847_330_250_000);

    #[test]
    fn one_instant_is_recognised_in_every_unit() {
        for field in [
            Field::Number(1_769_847_330.25),
            Field::Integer(1_769_847_330_250),
            Field::Number(1_769_847_330_250.0),
            Field::Integer(1_769_847_330_250_000),
            Field::Number(1_769_847_330_250_000.0),
            Field::Text("2026-01-31T08:15:30.25Z".into()),
            Field::Text("2026-01-31T10:15:30.250+02:00".into()),
        ] {
            assert_eq!(measured_at(&field), Ok(INSTANT), "{field:?}");
        }
        assert_eq!(measured_at(&Field::Integer(1_769_847_330)), Ok(Timestamp::from_millis(1_769_847_330_000)));
        assert_eq!(measured_at(&Field::Integer(0)), Ok(Timestamp::default()));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for (field, reason) in [
            (Field::Integer(-1), Reason::BadTimestamp),
            (Field::Number(-0.5), Reason::BadTimestamp),
            (Field::Integer(i64::MAX), Reason::BadTimestamp),
            (Field::Number(1e300), Reason::BadTimestamp),
            (Field::Text("yesterday".into()), Reason::BadTimestamp),
            (Field::Text("".into()), Reason::BadTimestamp),
            (Field::Text("2026-01-31T08:15:30".into()), Reason::BadTimestamp),
            (Field::Other("a boolean"), Reason::WrongType),
        ] {
            assert_eq!(measured_at(&field).unwrap_err().reason, reason, "{field:?}");
        }
    }
}
