//! `scripts/bench anomaly`: what a reading costs from value to score, what a device weighs, how often a healthy fleet opens
//! anything, and how fast the service is on Kafka, killed and started again too. Limits stand beside the figures.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a benchmark that cannot go on fails")]

mod device;
mod fleet;
mod service;

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use serde::Serialize;
use testkit::bench::Report;

#[derive(Parser, Serialize)]
struct Arguments {
    /// Fewer devices and readings: whether it works, not how fast it is.
    #[arg(long)]
    quick: bool,
    /// Only these parts.
    #[arg(long, value_enum)]
    part: Vec<Part>,
    /// Readings of the service part; a multiple of the devices.
    #[arg(long, default_value_t = 2_000_000)]
    readings: u64,
    #[arg(long, default_value_t = 2_000)]
    devices: u32,
    #[arg(long, default_value_t = 3)]
    repetitions: u32,
    #[arg(long, default_value_t = 20_260_131)]
    seed: u64,
    #[arg(long, default_value = "target/bench/anomaly.json")]
    output: PathBuf,
    /// `cargo bench` gives it.
    #[arg(long, hide = true)]
    #[serde(skip)]
    bench: bool,
    #[arg(long, hide = true)]
    profile: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
enum Part {
    Device,
    Fleet,
    Service,
}

fn main() {
    let mut arguments = Arguments::parse();
    if arguments.quick {
        (arguments.readings, arguments.devices, arguments.repetitions) = (200_000, 500, 1);
    }
    let has = |part| arguments.part.is_empty() || arguments.part.contains(&part);
    let mut report = Report::new("anomaly", &arguments);
    if has(Part::Device) {
        device::run(&arguments, &mut report);
    }
    if has(Part::Fleet) {
        fleet::run(&arguments, &mut report);
    }
    if has(Part::Service) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        runtime.block_on(service::run(&arguments, &mut report));
    }
    report.finish(&arguments.output);
}
