//! `score`: the service's own path from reading to score, on a file with the readings of one device's metric.

use std::{
    collections::VecDeque,
    io::{Read, Write},
};

use super::{
    CommandError, OnBadLine,
    readings::{Reading, for_each},
};
use crate::{
    adapters::{BATCH, Scorer},
    domain::{
        detector::Memory,
        features::{NotFinite, Observation, Row},
    },
};

#[derive(Debug, Clone, Copy, Default)]
pub struct ScoreOptions {
    /// Show a score only where none of that many readings before scored as high, else 0: where an alarm would have been
    /// raised, at whatever threshold, rather than how long it lasted.
    pub dead_time: usize,
    /// Add the columns expected, `band_low` and `band_high`.
    pub band: bool,
}

/// Writes `timestamp,value,score`.
pub fn score(
    input: impl Read,
    output: &mut impl Write,
    scorer: &mut Scorer,
    options: ScoreOptions,
    on_bad_line: OnBadLine<'_>,
) -> Result<(), CommandError> {
    let band = if options.band { "expected,band_low,band_high," } else { "" };
    writeln!(output, "timestamp,value,{band}score")?;
    let mut memory = Memory::default();
    let mut dead_time = DeadTime { readings: options.dead_time, recent: VecDeque::new() };
    let mut pending: Vec<(Reading, Observation)> = Vec::with_capacity(BATCH);
    let mut flush = |memory: &mut Memory, pending: &mut Vec<(Reading, Observation)>| {
        let rows: Vec<Row> = pending.iter().map(|(_, o)| o.row).collect();
        let logits = scorer.logits(&rows)?;
        for ((reading, observation), logit) in pending.drain(..).zip(logits) {
            let score = dead_time.pass(memory.score(&observation, logit, &scorer.manifest().calibration));
            write!(output, "{},{},", reading.timestamp, reading.value_text)?;
            if options.band {
                write!(output, "{},{},{},", observation.expected, observation.band_low, observation.band_high)?;
            }
            writeln!(output, "{score}")?;
        }
        Ok::<_, CommandError>(())
    };
    for_each(input, on_bad_line, |reading| {
        // A reading has a finite value.
        let Ok(observation) = memory.observe(reading.at_micros, reading.value).map_err(|NotFinite| ()) else {
            return Ok(());
        };
        pending.push((reading, observation));
        if pending.len() == BATCH { flush(&mut memory, &mut pending) } else { Ok(()) }
    })?;
    flush(&mut memory, &mut pending)?;
    output.flush()?;
    Ok(())
}

struct DeadTime {
    readings: usize,
    recent: VecDeque<f32>,
}

impl DeadTime {
    fn pass(&mut self, score: f32) -> f32 {
        let highest = self.recent.iter().copied().fold(-1.0, f32::max);
        self.recent.push_back(score);
        if self.recent.len() > self.readings {
            self.recent.pop_front();
        }
        if score > highest { score } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_time_shows_the_first_of_a_burst_and_whatever_tops_it() {
        let mut dead_time = DeadTime { readings: 3, recent: VecDeque::new() };
        let shown: Vec<f32> = [0.9, 0.9, 0.95, 0.2, 0.2, 0.1, 0.9].into_iter().map(|s| dead_time.pass(s)).collect();
        assert_eq!(shown, [0.9, 0.0, 0.95, 0.0, 0.0, 0.0, 0.9]);
        let mut none = DeadTime { readings: 0, recent: VecDeque::new() };
        assert_eq!(vec![0.5, 0.5, 0.1], [0.5, 0.5, 0.1].map(|s| none.pass(s)));
    }
}
