//! `scripts/bench alert`: temperature-alert between a bare decoding consumer and Kafka Streams, on one topic in one run.
//!
//! Every contender is a process of its own and is watched from outside; repetitions alternate, so that what else the
//! machine does falls on all of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a benchmark that cannot go on fails")]

mod bare;
mod contender;
mod latency;
mod profile;
mod records;
mod restore;
mod throughput;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use serde::Serialize;
use testkit::bench::Report;

/// The rules of every part, as (above, clear).
const RULES: [(f64, f64); 5] = [(28.0, 27.0), (30.0, 29.0), (32.0, 31.0), (34.0, 33.0), (38.0, 37.0)];

#[derive(Parser, Serialize)]
struct Arguments {
    /// Fewer records, one repetition: whether it works, not how fast it is.
    #[arg(long)]
    quick: bool,
    /// Only these parts.
    #[arg(long, value_enum)]
    part: Vec<Part>,
    /// Records where temperature-alert spends its time, with perf, instead of comparing.
    #[arg(long)]
    profile: bool,
    /// Readings of the throughput part; a multiple of the devices.
    #[arg(long, default_value_t = 5_000_000)]
    readings: u64,
    #[arg(long, default_value_t = 10_000)]
    devices: u32,
    #[arg(long, default_value_t = 3)]
    repetitions: u32,
    #[arg(long, default_value_t = 20_260_131)]
    seed: u64,
    /// Keys of the restore part.
    #[arg(long, default_value_t = 1_000_000)]
    keys: u32,
    /// Seconds the latency part measures.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// The broker's log folder: sizes on disk are told as well.
    #[arg(long)]
    kafka_log: Option<PathBuf>,
    /// Folder of the compiled Kafka Streams program; without it there is no such contender.
    #[arg(long)]
    kafka_streams: Option<PathBuf>,
    #[arg(long, default_value = "java")]
    java: PathBuf,
    #[arg(long, default_value = "target/bench/alert.json")]
    output: PathBuf,
    /// `cargo bench` gives it.
    #[arg(long, hide = true)]
    #[serde(skip)]
    bench: bool,
    #[command(subcommand)]
    #[serde(skip)]
    child: Option<Child>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
enum Part {
    Throughput,
    Restore,
    Latency,
}

#[derive(Subcommand)]
enum Child {
    /// The bare consumer.
    Bare { topic: String },
}

fn main() {
    let mut arguments = Arguments::parse();
    if let Some(Child::Bare { topic }) = &arguments.child {
        return bare::run(topic);
    }
    if arguments.quick {
        (arguments.readings, arguments.repetitions, arguments.keys, arguments.seconds) = (500_000, 1, 20_000, 5);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        if arguments.profile {
            return profile::run(&arguments).await;
        }
        let mut report = Report::new("alert", &arguments);
        if arguments.has(Part::Throughput) {
            throughput::run(&arguments, &mut report).await;
        }
        if arguments.has(Part::Latency) {
            latency::run(&arguments, &mut report).await;
        }
        if arguments.has(Part::Restore) {
            restore::run(&arguments, &mut report).await;
        }
        report.finish(&arguments.output);
    });
}

impl Arguments {
    fn has(&self, part: Part) -> bool {
        self.part.is_empty() || self.part.contains(&part)
    }
}
