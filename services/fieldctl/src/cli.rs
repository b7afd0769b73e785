//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::commands::{command, device, dlq, golden, lag, plan, probe, replay, scene, schemas, simulate, strimzi, tail, topics};
use crate::domain::instant;

/// What spans Fieldwatch's services: topics, schemas, dead letters, lag, synthetic devices
#[derive(Parser)]
#[command(name = "fieldctl", version)]
pub(crate) struct Cli {
    /// TOML file over the defaults; then environment: FIELDCTL… or, shared by all services, FIELDWATCH…
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Create and check the topics of schemas/topics.yaml
    #[command(subcommand)]
    Topics(topics::Command),
    /// Print the topics, and who may touch them, as resources of Strimzi's operator for Kubernetes
    #[command(subcommand)]
    Strimzi(strimzi::Command),
    /// Register and check event schemas
    #[command(subcommand)]
    Schemas(schemas::Command),
    /// Dead letters of a service
    #[command(subcommand)]
    Dlq(dlq::Command),
    /// Print a topic's records, decoded
    Tail(tail::Arguments),
    /// How far each service is behind on its inputs
    Lag(lag::Arguments),
    /// Synthetic devices: daily cycles, noise, excursions, faults
    Simulate(simulate::Arguments),
    /// Send the readings of a CSV (timestamp,value) as one device
    Replay(replay::Arguments),
    /// What is about one device
    #[command(subcommand)]
    Device(device::Command),
    /// Tell devices what to do, and follow what becomes of it
    #[command(subcommand)]
    Command(command::Command),
    /// Several devices told by one decision
    #[command(subcommand)]
    Scene(scene::Command),
    /// What so many devices need: cores, replicas, memory, partitions, storage
    Plan(plan::Arguments),
    /// Measure the way from an MQTT publish to the notification stream
    Probe(probe::Arguments),
    /// Examples of every event, for readers in other languages
    #[command(subcommand, hide = true)]
    Golden(golden::Command),
    /// Print the version
    Version,
}

/// For clap: `90s`, `10m`, `1h 30m`
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    instant::parse_duration(text).ok_or_else(|| "not a duration like 90s or 10m".to_owned())
}

/// For clap: a number above 0.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|rate| f64::is_finite(*rate) && *rate > 0.0).ok_or_else(|| "not a number above 0".to_owned())
}

/// For clap: 0 up to 1, without it.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|share| (0.0..1.0).contains(share)).ok_or_else(|| "not a share from 0 up to 1 (without it)".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_share_or_rate_that_makes_no_sense_is_refused() {
        assert_eq!((share("0.2"), share("1").is_err(), share("NaN").is_err()), (Ok(0.2), true, true));
        assert_eq!((rate("500"), rate("0").is_err(), rate("inf").is_err()), (Ok(500.0), true, true));
    }
}
