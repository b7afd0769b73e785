//! Where the service spends its time: perf samples it while it works off a full topic.

use std::process::{Command, Stdio};

use testkit::Kit;
use testkit::bench::{Load, preload, watch};

use crate::Arguments;
use crate::contender::{TOPICS, service, taken};

/// Prints the functions that took most; the samples stay beside the report for `perf report` and `perf annotate`.
pub(crate) async fn run(arguments: &Arguments) {
    let kit = Kit::as_declared(&TOPICS).await;
    let devices = arguments.devices;
    let load = Load { devices, rounds: arguments.readings / u64::from(devices), seed: arguments.seed, excursion_every: 20_000 };
    let readings = preload(&kit, &load).await.readings;
    let service = service(&kit, 1).await;
    let samples = arguments.output.with_extension("perf");
    std::fs::create_dir_all(samples.parent().expect("a folder")).expect("a folder for the samples");
    let mut perf = Command::new("perf")
        .args(["record", "-q", "-F", "999", "-p", &service.pid().to_string(), "-o"])
        .arg(&samples)
        .stdin(Stdio::null())
        .spawn()
        .expect("perf runs (Debian: linux-perf)");
    let port = service.admin_port();
    let throughput = watch(service.pid(), readings, async || taken(port).await).await;
    Command::new("kill").args(["-INT", &perf.id().to_string()]).status().expect("kill runs");
    perf.wait().expect("perf ends");
    assert_eq!(service.terminate().await, Some(0), "temperature-alert stops as it should");
    println!("{:.0} readings/s, {:.2} µs CPU each, while sampled", throughput.per_second, throughput.cpu_micros_each);
    let report = ["report", "--stdio", "--no-children", "--percent-limit", "0.7", "--sort", "comm,symbol", "-i"];
    Command::new("perf").args(report).arg(&samples).stderr(Stdio::null()).status().expect("perf runs");
}
