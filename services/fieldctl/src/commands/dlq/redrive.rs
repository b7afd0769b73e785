//! Copies letters to the service's retry topic, each to the partition its record came from.
//!
//! Guarantees: the position in the resume file passes a letter only after Kafka acknowledged its copy, so a redrive that
//! was stopped repeats at most a second of work. Ends where the letters end when it begins: what fails again is left.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use events::topics;
use stream::producer::{Delivery, GiveUp};
use stream::tail::{From, Offsets};
use stream::{OutRecord, Publisher, Record, dlq};
use tokio::time::Instant;

use super::letters::{Selection, beginning, letter, position};
use crate::adapters::log_reader::LogReader;
use crate::adapters::resume_file::ResumeFile;
use crate::adapters::signals::StopSignals;
use crate::cli::rate;
use crate::context::Context;
use crate::domain::dead_letter::{Verdict, redriven};
use crate::domain::pace::Pace;
use crate::{FAILURE, SUCCESS};

/// Copies on their way at most, and how long they may take.
const IN_FLIGHT: usize = 1_000;
const GIVE_UP: Duration = Duration::from_secs(30);
/// The position is written down this often.
const SETTLE: Duration = Duration::from_secs(1);

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    selection: Selection,
    /// Say what would be done, do nothing
    #[arg(long)]
    dry_run: bool,
    /// Also what was redriven three times already
    #[arg(long)]
    include_quarantined: bool,
    /// Letters a second
    #[arg(long, value_name = "N", value_parser = rate)]
    rate: Option<f64>,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Remember the position in this file, and go on from it
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    resume: Option<PathBuf>,
}

/// What became of the letters that are meant.
#[derive(Default)]
struct Account {
    redriven: u64,
    quarantined: u64,
    truncated: u64,
}

/// Copies that are not acknowledged yet, and the position once they are.
struct Progress {
    deliveries: Vec<Delivery>,
    next: BTreeMap<i32, i64>,
    file: Option<ResumeFile>,
    settled_at: Instant,
}

pub(crate) async fn run(arguments: &Arguments, context: &mut Context<'_>) -> anyhow::Result<u8> {
    let (kafka, selection) = (&context.config.kafka, &arguments.selection);
    let (topic, filter) = (selection.topic(kafka), selection.filter()?);
    let retry = kafka.prefixed(&topics::retry(&selection.service));
    let file = arguments.resume.as_deref().map(|path| ResumeFile::open(path, &topic, &selection.describe())).transpose()?;
    let from = match &file {
        Some(file) if !file.next().is_empty() => From::Offsets(Offsets::clone(file.next())),
        _ => beginning(&filter),
    };
    let mut reader = LogReader::open(kafka, &topic, &from)?;
    let publisher = Publisher::connect(kafka, "fieldctl", GiveUp::After(GIVE_UP))?;
    let mut progress = Progress { deliveries: Vec::new(), next: BTreeMap::new(), file, settled_at: Instant::now() };
    let (mut account, mut stop, mut is_stopped) = (Account::default(), StopSignals::listen()?, false);
    let pace = arguments.rate.map_or(Pace::Unpaced, Pace::PerSecond);
    let started = Instant::now();
    while account.redriven < arguments.limit.unwrap_or(u64::MAX)
        && let Some(record) = reader.next().await?
    {
        let known = letter(&record);
        if filter.matches(&known) {
            match known.verdict(dlq::QUARANTINE_AFTER, arguments.include_quarantined) {
                Verdict::Quarantined => account.quarantined += 1,
                Verdict::Truncated => account.truncated += 1,
                Verdict::Redrive { redrives } if arguments.dry_run => {
                    context.out.line(format_args!("{} {}: redrive {redrives}", position(&record), known.reason))?;
                    account.redriven += 1;
                }
                Verdict::Redrive { redrives } => {
                    is_stopped = stop.asked_before(started + pace.due(account.redriven)).await;
                    if is_stopped {
                        break;
                    }
                    let copy = copy(&record, &retry, redrives, known.origin_partition);
                    progress.deliveries.push(publisher.enqueue_when_room(copy).await?);
                    account.redriven += 1;
                }
            }
        }
        progress.pass(&record).await?;
    }
    progress.settle().await?;
    let Account { redriven, quarantined, truncated } = account;
    let verb = if arguments.dry_run { "would be redriven" } else { "redriven" };
    context.out.line(format_args!("{redriven} {verb} to {retry}, {quarantined} quarantined, {truncated} truncated and left alone"))?;
    if is_stopped {
        context.out.line("stopped before the end")?;
        return Ok(FAILURE);
    }
    Ok(SUCCESS)
}

fn copy(record: &Record, retry: &str, redrives: u32, partition: Option<i32>) -> OutRecord {
    let mut copy = OutRecord::new(retry, record.key.clone(), record.value.clone());
    copy.partition = partition;
    redriven(&record.headers, dlq::REDRIVES, redrives).iter().fold(copy, |copy, (name, value)| copy.header(name, value.as_deref()))
}

impl Progress {
    /// The letter is dealt with, as far as its copy is acknowledged.
    async fn pass(&mut self, record: &Record) -> anyhow::Result<()> {
        self.next.insert(record.position.partition, record.position.offset + 1);
        if self.deliveries.len() >= IN_FLIGHT || self.settled_at.elapsed() >= SETTLE {
            self.settle().await?;
        }
        Ok(())
    }

    async fn settle(&mut self) -> anyhow::Result<()> {
        for delivery in self.deliveries.drain(..) {
            delivery.await?;
        }
        self.settled_at = Instant::now();
        match &mut self.file {
            Some(file) => file.advance(std::mem::take(&mut self.next)),
            None => Ok(()),
        }
    }
}
