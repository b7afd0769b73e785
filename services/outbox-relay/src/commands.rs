//! `outbox-relay stats` and `outbox-relay dead`: they read the database, never a running relay.

use std::io::Write;
use std::process::ExitCode;

use clap::Subcommand;

use crate::adapters::postgres::{DeadRow, Stats, Store};
use crate::config::Config;

#[derive(Subcommand)]
pub enum Command {
    /// Pending rows by topic, the relays and their slots, how many rows are dead.
    Stats,
    /// Rows that could not be published, newest first.
    Dead {
        /// How many at most.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
}

pub async fn run(config: Config, command: Command) -> anyhow::Result<ExitCode> {
    let store = Store::new(&config.database)?;
    let mut out = Vec::new();
    match command {
        Command::Stats => write_stats(&mut out, &store.stats().await?)?,
        Command::Dead { limit } => write_dead(&mut out, &store.dead(limit).await?)?,
    }
    store.close().await;
    std::io::stdout().write_all(&out)?;
    Ok(ExitCode::SUCCESS)
}

fn write_stats(out: &mut impl Write, stats: &Stats) -> std::io::Result<()> {
    writeln!(out, "{:<40} {:>10} {:>10} {:>10}", "TOPIC", "PENDING", "AGGREGATES", "OLDEST")?;
    for topic in &stats.pending {
        let oldest = format!("{:.1} s", topic.oldest_seconds);
        writeln!(out, "{:<40} {:>10} {:>10} {oldest:>10}", topic.topic, topic.rows, topic.aggregates)?;
    }
    writeln!(out, "\n{:<60} {:>5}", "RELAY", "SLOTS")?;
    for owner in &stats.owners {
        writeln!(out, "{:<60} {:>5}", owner.owner.as_deref().unwrap_or("(nobody)"), owner.slots)?;
    }
    writeln!(out, "\ndead rows: {}", stats.dead)
}

fn write_dead(out: &mut impl Write, rows: &[DeadRow]) -> std::io::Result<()> {
    for row in rows {
        let DeadRow { id, topic, aggregate_type, aggregate_id, bytes, attempts, failed_at, error } = row;
        writeln!(out, "{failed_at}  id {id}  {topic}  {aggregate_type} {aggregate_id}  {bytes} bytes  {attempts} attempts  {error}")?;
    }
    if rows.is_empty() { writeln!(out, "no dead rows") } else { Ok(()) }
}
