//! `features`: what the network would see of each reading. Training data comes from here and from nowhere else.

use std::io::{Read, Write};

use super::{
    CommandError, OnBadLine,
    readings::{Reading, for_each},
};
use crate::domain::{
    detector::Memory,
    features::{FEATURES, NotFinite},
};

/// Writes `timestamp,value` and one column a feature.
pub fn features(input: impl Read, output: &mut impl Write, on_bad_line: OnBadLine<'_>) -> Result<(), CommandError> {
    writeln!(output, "timestamp,value,{}", FEATURES.join(","))?;
    let mut memory = Memory::default();
    for_each(input, on_bad_line, |Reading { timestamp, value_text, at_micros, value }| {
        // A reading has a finite value.
        let Ok(observation) = memory.observe(at_micros, value).map_err(|NotFinite| ()) else { return Ok(()) };
        write!(output, "{timestamp},{value_text}")?;
        for feature in observation.row {
            write!(output, ",{feature}")?;
        }
        writeln!(output)?;
        Ok::<_, CommandError>(())
    })?;
    output.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reading_has_a_row_with_all_features() {
        let mut output = Vec::new();
        features("timestamp,value\n0,1\n60,2.50\n".as_bytes(), &mut output, OnBadLine::Stop).unwrap();
        let text = String::from_utf8(output).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[2].starts_with("60,2.50,"));
        assert!(lines.iter().all(|l| l.split(',').count() == 2 + FEATURES.len()), "{text}");
    }
}
