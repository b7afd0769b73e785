//! The outbox: how fast a backlog drains, how soon a commit is with a consumer, what a snapshot held by someone else and a
//! `kill -9` cost. Writers, Postgres, Kafka, the relay and the consumer share the machine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark that cannot measure fails"
)]

mod bare;
mod load;
mod scene;

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use serde::Serialize;
use serde_json::Value;
use testkit::Debezium;
use testkit::bench::{Report, Target};

use load::Steady;
use scene::{Publisher, Scene};

/// Measures the outbox relay against Kafka and Postgres of `scripts/infra env`.
#[derive(Clone, Parser, Serialize)]
struct Arguments {
    /// Only these parts.
    #[arg(long, value_enum)]
    part: Vec<Part>,
    /// Rows of the backlog.
    #[arg(long, default_value_t = 500_000)]
    backlog: u32,
    /// Backlogs that are drained before anything is measured.
    #[arg(long, default_value_t = 4)]
    warm_ups: u32,
    /// Seconds of each steady load.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Seconds of the load beside a transaction that holds a snapshot for as long.
    #[arg(long, default_value_t = 30)]
    snapshot_seconds: u64,
    /// Events a second of each steady load.
    #[arg(long, value_delimiter = ',', default_values_t = [5_000, 10_000, 20_000, 40_000])]
    rates: Vec<u32>,
    /// Where the figures go.
    #[arg(long, default_value = "target/bench/outbox.json")]
    output: PathBuf,
    /// Whether it works, not how fast it is.
    #[arg(long)]
    quick: bool,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
enum Part {
    Drain,
    Steady,
    Snapshot,
    Kill,
}

impl Arguments {
    fn has(&self, part: Part) -> bool {
        self.part.is_empty() || self.part.contains(&part)
    }
}

const STEADY: [&str; 9] = ["load", "written/s", "relayed/s", "p50 ms", "p99 ms", "max ms", "relay CPU %", "dead tuples", "left"];

#[tokio::main]
async fn main() {
    let mut arguments = Arguments::parse();
    if arguments.quick {
        arguments = Arguments { backlog: 20_000, warm_ups: 1, seconds: 3, snapshot_seconds: 3, rates: vec![2_000], ..arguments };
    }
    let mut report = Report::new("outbox", &arguments);
    let mut publishers = vec![("outbox-relay", Publisher::Relay)];
    if Debezium::is_there() {
        report.peer("Debezium Server", "3.6.0");
        publishers.push(("Debezium Server", Publisher::Debezium));
    }
    // A broker that was just started spends the first minute compiling itself, and some more once somebody reads from it.
    for _ in 0..arguments.warm_ups {
        Scene::new().await.drain(Publisher::Relay, arguments.backlog).await;
    }
    let steady_warm_up = Steady { rate: arguments.rates[0], seconds: arguments.seconds, snapshot: false };
    Scene::new().await.steady(Publisher::Relay, steady_warm_up).await;
    if arguments.has(Part::Drain) {
        drain(&mut report, &publishers, arguments.backlog).await;
    }
    steady(&mut report, &publishers, &arguments).await;
    if arguments.has(Part::Kill) {
        kill(&mut report, &publishers).await;
    }
    report.finish(&arguments.output);
}

async fn drain(report: &mut Report, publishers: &[(&str, Publisher)], backlog: u32) {
    let bare = Scene::new().await.drain_bare(backlog).await;
    println!("bare loops: {bare:.0} rows/s");
    let mut rows: Vec<Vec<Value>> = vec![vec!["bare loops (the limit)".into(), bare.into(), Value::Null, Value::Null]];
    for (name, publisher) in publishers {
        let drained = Scene::new().await.drain(*publisher, backlog).await;
        println!("{name}: {:.0} rows/s", drained.per_second);
        rows.push(vec![(*name).into(), drained.per_second.into(), drained.cpu_micros_each.into(), drained.peak_rss_mib.into()]);
        if *publisher == Publisher::Relay {
            report.target(Target::at_least("drain, rows/s", 150_000.0, drained.per_second));
            report.target(Target::at_least("drain, % of the bare loops", 57.0, 100.0 * drained.per_second / bare));
        }
    }
    report.table(format!("Backlog of {backlog} rows"), &["", "rows/s", "CPU µs each", "peak MiB"], rows);
}

async fn steady(report: &mut Report, publishers: &[(&str, Publisher)], arguments: &Arguments) {
    let loads =
        [(Part::Steady, arguments.rates.clone(), arguments.seconds), (Part::Snapshot, vec![5_000, 20_000], arguments.snapshot_seconds)];
    let mut rows = Vec::new();
    for (part, rates, seconds) in loads {
        for rate in rates.into_iter().filter(|_| arguments.has(part)) {
            for (name, publisher) in publishers {
                // Beyond its limit it only falls behind.
                if *publisher == Publisher::Debezium && rate > 20_000 {
                    continue;
                }
                let snapshot = part == Part::Snapshot;
                let beside = if snapshot { " beside a snapshot" } else { "" };
                let found = Scene::new().await.steady(*publisher, Steady { rate, seconds, snapshot }).await;
                println!("{name}, {rate}/s{beside}: p50 {:.1} ms, p99 {:.1} ms", found.latency.p50, found.latency.p99);
                if *publisher == Publisher::Relay {
                    promise(report, rate, beside, &found);
                }
                rows.push(found.row(format!("{name}, {rate}/s{beside}")));
            }
        }
    }
    if !rows.is_empty() {
        report.table("Steady load, writers committing 100 events at a time", &STEADY, rows);
    }
}

async fn kill(report: &mut Report, publishers: &[(&str, Publisher)]) {
    let mut rows = Vec::new();
    for (name, publisher) in publishers {
        let killed = Scene::new().await.kill(*publisher).await;
        if *publisher == Publisher::Relay {
            report.target(Target::at_most("kill -9: flowing again after, s", 3.0, killed.flowing_after));
            report.target(Target::at_most("kill -9: repeated (4 lanes of 2,000)", 8_000.0, killed.duplicates as f64));
            report.target(Target::at_most("kill -9: lost", 0.0, killed.lost as f64));
        }
        rows.push(vec![(*name).into(), killed.flowing_after.into(), killed.duplicates.into(), killed.lost.into()]);
    }
    report.table("kill -9 at 5,000/s, started again at once", &["", "flowing after s", "repeated", "lost"], rows);
}

fn promise(report: &mut Report, rate: u32, beside: &str, found: &load::Found) {
    let (p50, p99) = (found.latency.p50, found.latency.p99);
    let name = |what: &str| format!("{rate}/s{beside}: {what}");
    match rate {
        5_000 => {
            report.target(Target::at_most(name("p50, ms"), 7.0, p50));
            report.target(Target::at_most(name("p99, ms"), 20.0, p99));
        }
        20_000 => report.target(Target::at_most(name("p99, ms"), 30.0, p99)),
        40_000 => report.target(Target::at_least(name("relayed/s"), 39_000.0, found.relayed)),
        _ => {}
    }
}
