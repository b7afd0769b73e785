//! `outbox-relay stats|dead|requeue|replay`: they work on the database, never on a running relay.

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::adapters::postgres::{DeadRow, DeadSelection, Replay, Stats, Store};
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
    /// Gives dead rows to the relay again, behind what their aggregates have written since.
    Requeue {
        #[command(flatten)]
        which: Which,
        /// Only say how many.
        #[arg(long)]
        dry_run: bool,
    },
    /// Publishes rows of the archive again, each aggregate's in its order, under the event ids they had.
    Replay {
        #[arg(long)]
        topic: String,
        /// One aggregate (the record's key) only.
        #[arg(long)]
        aggregate: Option<String>,
        /// Published at this time or later, e.g. 2026-01-31T08:00:00Z.
        #[arg(long)]
        since: String,
        /// Published before this time.
        #[arg(long, default_value = "now")]
        until: String,
        /// Only say how many.
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Args)]
#[group(required = true, multiple = true)]
pub struct Which {
    /// One row; may be given several times.
    #[arg(long)]
    id: Vec<i64>,
    /// All of a topic.
    #[arg(long)]
    topic: Option<String>,
    /// All there are.
    #[arg(long, conflicts_with_all = ["id", "topic"])]
    all: bool,
}

pub async fn run(config: Config, command: Command) -> anyhow::Result<ExitCode> {
    let store = Store::new(&config.database, 1)?;
    let mut out = Vec::new();
    match command {
        Command::Stats => write_stats(&mut out, &store.stats().await?)?,
        Command::Dead { limit } => write_dead(&mut out, &store.dead(limit).await?)?,
        Command::Requeue { which, dry_run } => {
            let selection = DeadSelection { ids: which.id, topic: which.topic };
            let rows = if dry_run { store.count_dead(&selection).await? } else { store.requeue(&selection).await? };
            writeln!(out, "{}: {rows} rows", if dry_run { "would be requeued" } else { "requeued" })?;
        }
        Command::Replay { topic, aggregate, since, until, dry_run } => {
            let replay = Replay { topic, aggregate_id: aggregate, since, until };
            let rows = if dry_run { store.count_replay(&replay).await? } else { store.replay(&replay).await? };
            writeln!(out, "{}: {rows} rows", if dry_run { "would be replayed" } else { "replayed" })?;
        }
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
