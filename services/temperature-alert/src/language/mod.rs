//! The rule language: YAML to checked [`Rules`], or every mistake with its line and column.

mod check;
mod document;
mod times;

use std::fmt;
use std::path::Path;

use serde_saphyr::{Location, Spanned};

use crate::domain::Rules;

pub(crate) use check::rules as check;
pub(crate) use document::{Document, Rule};
pub use times::duration;

/// A mistake in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub line: u64,
    pub column: u64,
    pub problem: String,
}

/// Why a file of rules is refused: every mistake, in the order of the file. What is no YAML of the expected form ends the
/// search, so that it is alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Refused {
    pub mistakes: Vec<Mistake>,
}

impl Mistake {
    pub(crate) fn at(location: Location, problem: impl Into<String>) -> Self {
        Self { line: location.line(), column: location.column(), problem: problem.into() }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.problem)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, mistake) in self.mistakes.iter().enumerate() {
            let gap = if number == 0 { "" } else { "; " };
            write!(f, "{gap}{mistake}")?;
        }
        Ok(())
    }
}

/// Reads a file of rules.
pub fn parse(yaml: &str) -> Result<Rules, Refused> {
    check(read(yaml)?)
}

/// Reads a file of rules; problems name it.
pub fn load(path: &Path) -> Result<Rules, String> {
    let yaml = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    parse(&yaml).map_err(|refused| format!("{}: {refused}", path.display()))
}

/// Reads any YAML document; a mistake names its place.
pub(crate) fn read<T: serde::de::DeserializeOwned>(yaml: &str) -> Result<T, Refused> {
    serde_saphyr::from_str(yaml).map_err(|error| {
        let problem = error.without_snippet().to_string();
        let location = error.location().unwrap_or(Location::UNKNOWN);
        // The location stands in front of the message already.
        let problem = problem.split_once(" at line ").map_or(problem.clone(), |(problem, _)| problem.to_owned());
        Refused { mistakes: vec![Mistake::at(location, problem)] }
    })
}
