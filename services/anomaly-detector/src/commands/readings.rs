//! Readings from a CSV with the columns `timestamp` and `value`; others are ignored.
//!
//! A timestamp is RFC 3339, `YYYY-MM-DD HH:MM:SS` (UTC, a fraction allowed), or seconds since 1970. A line that says
//! anything else, or a value that is no finite number, is an error that names the line.

use std::io::{Read, Write};

use thiserror::Error;
use time::{
    OffsetDateTime, PrimitiveDateTime,
    format_description::{BorrowedFormatItem, well_known::Rfc3339},
    macros::format_description,
};

const PLAIN: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day] [hour]:[minute]:[second][optional [.[subsecond]]]");
/// Beyond the year 9999 either way a number is no time in seconds.
const LATEST_SECONDS: f64 = 253_402_300_800.0;

#[derive(Debug, Error)]
#[error("line {line}: {problem}")]
pub struct BadLine {
    pub line: u64,
    problem: String,
}

/// What to do with a line that is no reading.
pub enum OnBadLine<'a> {
    Stop,
    /// Say so here, and go on.
    Skip(&'a mut dyn Write),
}

/// One line, its fields also as they were written.
pub(super) struct Reading {
    pub(super) timestamp: String,
    pub(super) value_text: String,
    pub(super) at_micros: i64,
    pub(super) value: f64,
}

/// Calls `each` with every reading in the order of the file.
pub(super) fn for_each<E: From<BadLine> + From<std::io::Error>>(
    input: impl Read,
    mut on_bad_line: OnBadLine<'_>,
    mut each: impl FnMut(Reading) -> Result<(), E>,
) -> Result<(), E> {
    let mut lines = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(input);
    let (timestamp, value) = columns(&mut lines)?;
    for record in lines.records() {
        let reading = record.map_err(|e| from_csv(&e)).and_then(|record| {
            let line = record.position().map_or(0, csv::Position::line);
            parse(&record, timestamp, value).map_err(|problem| BadLine { line, problem })
        });
        match (reading, &mut on_bad_line) {
            (Ok(reading), _) => each(reading)?,
            (Err(bad), OnBadLine::Stop) => return Err(bad.into()),
            (Err(bad), OnBadLine::Skip(notes)) => writeln!(notes, "skipped {bad}")?,
        }
    }
    Ok(())
}

fn columns<R: Read>(lines: &mut csv::Reader<R>) -> Result<(usize, usize), BadLine> {
    let header = lines.headers().map_err(|e| from_csv(&e))?;
    let column = |name: &str| {
        header.iter().position(|h| h.eq_ignore_ascii_case(name)).ok_or_else(|| BadLine {
            line: 1,
            problem: format!("no column {name:?}: the first line must name the columns timestamp and value"),
        })
    };
    Ok((column("timestamp")?, column("value")?))
}

fn parse(record: &csv::StringRecord, timestamp: usize, value: usize) -> Result<Reading, String> {
    let field = |i: usize, name: &str| record.get(i).ok_or_else(|| format!("no {name}"));
    let (timestamp, value_text) = (field(timestamp, "timestamp")?, field(value, "value")?);
    let at_micros = parse_time(timestamp).ok_or_else(|| format!("{timestamp:?} is no time"))?;
    let value: f64 = value_text.parse().map_err(|_| format!("{value_text:?} is no number"))?;
    if !value.is_finite() {
        return Err(format!("{value_text:?} is not finite"));
    }
    Ok(Reading { timestamp: timestamp.to_owned(), value_text: value_text.to_owned(), at_micros, value })
}

fn parse_time(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return (seconds.abs() < LATEST_SECONDS).then_some((seconds * 1e6).round() as i64);
    }
    let at =
        PrimitiveDateTime::parse(text, PLAIN).map(PrimitiveDateTime::assume_utc).or_else(|_| OffsetDateTime::parse(text, &Rfc3339)).ok()?;
    i64::try_from(at.unix_timestamp_nanos() / 1_000).ok()
}

fn from_csv(error: &csv::Error) -> BadLine {
    BadLine { line: error.position().map_or(0, csv::Position::line), problem: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::CommandError;

    fn read(text: &str, on_bad_line: OnBadLine<'_>) -> Result<Vec<(i64, f64)>, CommandError> {
        let mut readings = Vec::new();
        for_each(text.as_bytes(), on_bad_line, |r| {
            readings.push((r.at_micros, r.value));
            Ok::<_, CommandError>(())
        })?;
        Ok(readings)
    }

    #[test]
    fn the_three_ways_to_write_a_time_are_one_time() {
        let text = "timestamp,value\n2024-01-01 00:00:01,1\n2024-01-01T00:00:01Z,2\n1704067201,3\n\
                    2024-01-01T02:00:01+02:00,4\n2024-01-01 00:00:01.000000,5\n1704067201.0,6\n";
        let readings = read(text, OnBadLine::Stop).unwrap();
        assert_eq!(readings.len(), 6);
        assert!(readings.iter().all(|r| r.0 == 1_704_067_201_000_000), "{readings:?}");
    }

    #[test]
    fn columns_are_found_by_name() {
        let readings = read("device,Value,timestamp\na,7.5,10\n", OnBadLine::Stop).unwrap();
        assert_eq!(readings, [(10_000_000, 7.5)]);
        let error = read("1,2\n3,4\n", OnBadLine::Stop).unwrap_err();
        assert!(error.to_string().starts_with("line 1: no column \"timestamp\""), "{error}");
    }

    #[test]
    fn a_bad_line_is_named_with_its_problem() {
        for (row, problem) in [
            ("2024-01-01 00:00:00,NaN", "line 3: \"NaN\" is not finite"),
            ("2024-01-01 00:00:00,inf", "line 3: \"inf\" is not finite"),
            ("2024-01-01 00:00:00,warm", "line 3: \"warm\" is no number"),
            ("yesterday,1", "line 3: \"yesterday\" is no time"),
            ("2024-01-01 00:00:00", "line 3: no value"),
        ] {
            let error = read(&format!("timestamp,value\n0,1\n{row}\n"), OnBadLine::Stop).unwrap_err();
            assert_eq!(error.to_string(), problem);
            assert_eq!(error.exit_code(), 65);
        }
    }

    #[test]
    fn bad_lines_can_be_skipped_and_are_still_named() {
        let mut notes = Vec::new();
        let text = "timestamp,value\n0,1\n1,NaN\n2,3\n";
        let readings = read(text, OnBadLine::Skip(&mut notes)).unwrap();
        assert_eq!(readings.len(), 2);
        assert_eq!(String::from_utf8(notes).unwrap(), "skipped line 3: \"NaN\" is not finite\n");
    }
}
