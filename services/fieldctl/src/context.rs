//! What every command is given.

use crate::config::Config;
use crate::output::Output;

pub(crate) struct Context<'a> {
    pub(crate) config: Config,
    pub(crate) out: Output<'a>,
}

/// Arguments that are well formed and still make no sense together.
#[derive(Debug)]
pub(crate) struct WrongUsage(String);

impl std::fmt::Display for WrongUsage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WrongUsage {}

pub(crate) fn wrong_usage(problem: impl Into<String>) -> anyhow::Error {
    WrongUsage(problem.into()).into()
}
