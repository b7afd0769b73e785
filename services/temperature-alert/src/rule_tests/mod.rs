//! Unit tests for rules, in YAML: input series, and the alerts they have to lead to.
//!
//! A test runs the rules' own code over the series in the order of reception, then compares every alert that was announced
//! with every one that is expected; what is not said of an expected alert is not compared.

mod document;
mod expectation;
mod notation;

use std::path::Path;
use std::sync::Arc;

use crate::domain::Simulation;
use crate::language;

pub use expectation::Difference;

/// How one test of a file went.
#[derive(Debug)]
pub struct Outcome {
    pub name: String,
    pub differences: Vec<Difference>,
}

/// Runs every test of a file. An error names the file and the place of each mistake.
pub fn run(path: &Path) -> Result<Vec<Outcome>, String> {
    let in_file = |problem: String| format!("{}: {problem}", path.display());
    let yaml = std::fs::read_to_string(path).map_err(|error| in_file(error.to_string()))?;
    let file: document::File = language::read(&yaml).map_err(|refused| in_file(refused.to_string()))?;
    let rules = Arc::new(match (file.rules, file.elsewhere) {
        (Some(rules), None) => language::check(language::Document { rules, forget_after: file.forget_after })
            .map_err(|refused| in_file(refused.to_string()))?,
        (None, Some(named)) => language::load(&path.parent().unwrap_or(Path::new("")).join(named))?,
        _ => return Err(in_file("a file of tests has rules or rules_file".into())),
    });
    file.tests
        .into_iter()
        .map(|test| {
            let prepared = test.prepare().map_err(|mistake| in_file(format!("{mistake}")))?;
            let mut simulation = Simulation::new(Arc::clone(&rules));
            prepared.readings.iter().for_each(|reading| simulation.take(reading));
            if let Some(until) = prepared.until {
                simulation.advance(until);
            }
            let differences = expectation::compare(&prepared.expected, &simulation.alerts(), prepared.start);
            Ok(Outcome { name: prepared.name, differences })
        })
        .collect()
}
