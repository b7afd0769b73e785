//! The notifier's API with a million notifications: lists, filters, deep pages and counts under steady load; how fast alerts
//! are taken in; how soon an event stream has what happened, with one client and with a thousand. Clients, notifier, relay,
//! Postgres and Kafka share the machine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark that cannot measure fails"
)]

mod clients;
mod requests;
mod scene;

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use serde::Serialize;
use testkit::bench::{Percentiles, Report, Target};

use requests::Requests;
use scene::Scene;

/// Measures the notifier's API against Kafka, registry and Postgres of `scripts/infra env`.
#[derive(Clone, Parser, Serialize)]
struct Arguments {
    /// Only these parts.
    #[arg(long, value_enum)]
    part: Vec<Part>,
    /// Notifications that are there.
    #[arg(long, default_value_t = 1_000_000)]
    notifications: u32,
    /// Requests a second.
    #[arg(long, default_value_t = 500)]
    rate: u32,
    /// Seconds of each steady load.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Pages before the deep page.
    #[arg(long, default_value_t = 1_000)]
    depth: u32,
    /// Alerts that wait to be taken in.
    #[arg(long, default_value_t = 100_000)]
    alerts: u32,
    /// Open streams of the fan-out.
    #[arg(long, default_value_t = 1_000)]
    clients: usize,
    /// Where the figures go.
    #[arg(long, default_value = "target/bench/api.json")]
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
    Read,
    Ingest,
    Alert,
    FanOut,
}

#[tokio::main]
async fn main() {
    let mut arguments = Arguments::parse();
    if arguments.quick {
        arguments = Arguments { notifications: 20_000, rate: 50, seconds: 3, depth: 20, alerts: 2_000, clients: 50, ..arguments };
    }
    let has = |part| arguments.part.is_empty() || arguments.part.contains(&part);
    let mut report = Report::new("api", &arguments);
    let scene = Scene::new(arguments.notifications).await;
    if has(Part::Read) {
        read(&mut report, &scene, &arguments).await;
    }
    if has(Part::Alert) {
        let latency = scene.alert_to_frame(100, arguments.seconds).await;
        report.target(Target::at_most("alert appended → frame, p50, ms", 30.0, latency.p50));
        report.target(Target::at_most("alert appended → frame, p99, ms", 80.0, latency.p99));
        report.table("An alert on its topic → the frame at a client, 100 alerts/s", &Percentiles::COLUMNS, vec![latency.row("one client")]);
    }
    if has(Part::FanOut) {
        let fanned = scene.fan_out(arguments.clients, 10, arguments.seconds).await;
        report.target(Target::at_most(format!("request → frame at {} clients, p99, ms", arguments.clients), 100.0, fanned.latency.p99));
        report.target(Target::at_most("frames missing", 0.0, fanned.missing as f64));
        let name = format!("{} clients", arguments.clients);
        report.table(
            "POST /v1/events sent → the frame at each client, 10 notifications/s",
            &Percentiles::COLUMNS,
            vec![fanned.latency.row(&name)],
        );
    }
    if has(Part::Ingest) {
        let taken = scene.ingest(arguments.alerts).await;
        report.target(Target::at_least("alerts taken in, 1/s", 5_000.0, taken.per_second));
        let cells = vec![arguments.alerts.into(), taken.per_second.into(), taken.cpu_micros_each.into(), taken.peak_rss_mib.into()];
        report.table("Alerts waiting on their topic, each of another device", &["alerts", "1/s", "CPU µs each", "peak MiB"], vec![cells]);
    }
    scene.end().await;
    report.finish(&arguments.output);
}

async fn read(report: &mut Report, scene: &Scene, arguments: &Arguments) {
    let requests = Requests::of(scene, arguments.depth).await;
    // Until caches are warm and plans are made nothing is measured.
    requests.send(arguments.rate, 5).await;
    let cpu = scene.cpu_seconds();
    let answered = requests.send(arguments.rate, arguments.seconds).await;
    let cpu = (scene.cpu_seconds() - cpu) / arguments.seconds as f64 * 100.0;
    println!("{:.0} requests/s answered; the notifier used {cpu:.0} % of a core", answered.per_second);
    for (name, latency) in &answered.latencies {
        report.target(Target::at_most(format!("{name}, p99, ms"), 20.0, latency.p99));
    }
    let title = format!("{} requests/s in all, {} notifications", arguments.rate, arguments.notifications);
    report.table(title, &Percentiles::COLUMNS, answered.latencies.iter().map(|(name, latency)| latency.row(name)).collect());
}
