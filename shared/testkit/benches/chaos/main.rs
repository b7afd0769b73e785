//! The whole suite as processes on three Kafka brokers, Postgres, a registry and an MQTT broker, while a seeded nemesis takes
//! them away one after the other: whether an acknowledged reading had its effect, once, and how soon after a fault. The plan,
//! the schedule and the checker are `testkit::ordeal`; `scripts/chaos` starts the servers and this.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a run that cannot be carried out fails"
)]

mod devices;
mod disk;
mod fleet;
mod nemesis;
mod observe;
mod report;
mod servers;
mod stream;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Parser;
use events::{AlertState, Timestamp};
use serde::Serialize;
use testkit::ordeal::{Anomaly, Listed, Observed, SCENARIOS, Scenario, Schedule, Shown, Workload, anomalies, excursions};

use devices::Devices;
use disk::Disk;
use fleet::Fleet;
use nemesis::{Nemesis, Suffered};
use servers::Servers;
use stream::Dashboard;

/// Connections the planned devices share; the markers have one more.
const CONNECTIONS: usize = 3;
/// How long the last effects are waited for before the checker says that they are missing.
const PATIENCE: Duration = Duration::from_mins(3);

/// Runs one scenario on the servers of `scripts/infra env`.
#[derive(Parser, Serialize)]
struct Arguments {
    /// The workload's and the schedule's.
    #[arg(long)]
    seed: u64,
    #[arg(long, default_value = "all", value_parser = scenario)]
    #[serde(serialize_with = "name")]
    scenario: &'static Scenario,
    /// How long faults go on, about.
    #[arg(long, default_value_t = 120)]
    seconds: u64,
    /// Readings a second.
    #[arg(long, default_value_t = 60)]
    rate: u32,
    #[arg(long, default_value_t = 30)]
    devices: usize,
    /// Of each broker the listener for its proxy, and where that listens: HOST:PORT=HOST:PORT.
    #[arg(long = "broker", value_name = "LISTENER=PROXY", value_parser = pair, required = true)]
    brokers: Vec<(String, String)>,
    /// Folder with the servers' pids.
    #[arg(long)]
    pids: PathBuf,
    /// `scripts/infra`
    #[arg(long)]
    infra: PathBuf,
    /// Where the figures go.
    #[arg(long, default_value = "target/chaos/all.json")]
    output: PathBuf,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn scenario(name: &str) -> Result<&'static Scenario, String> {
    let known = SCENARIOS.map(|scenario| scenario.name).join(", ");
    Scenario::named(name).ok_or_else(|| format!("one of {known}"))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn name<S: serde::Serializer>(scenario: &&'static Scenario, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(scenario.name)
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (listener, proxy) = text.split_once('=').ok_or("LISTENER=PROXY")?;
    Ok((listener.to_owned(), proxy.to_owned()))
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let schedule = Schedule::new(arguments.seed, arguments.scenario, Duration::from_secs(arguments.seconds));
    print!("\n{schedule}");
    let found = run(&arguments, &schedule).await;
    if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn run(arguments: &Arguments, schedule: &Schedule) -> Vec<Anomaly> {
    let disk = Disk::new();
    let mut fleet = Fleet::start(&arguments.brokers, &disk).await;
    let servers = Servers { pids: arguments.pids.clone(), infra: arguments.infra.clone() };
    let devices = Devices::connect(fleet.suite.mosquitto.port, CONNECTIONS + 1);
    let dashboard = Dashboard::follow(fleet.apis.clone());
    let (suffered, mut found) = undergo(arguments, schedule, &mut fleet, &servers, &disk, &devices, &dashboard).await;

    settle(&mut fleet, &devices, &dashboard).await;
    let kit = &fleet.suite.kit;
    let published = devices.diary();
    let observed = Observed {
        published: published.iter().filter(|one| one.acknowledged).map(|one| one.message.clone()).collect(),
        logged: observe::logged(kit).await,
        announced: observe::announced(kit).await,
        listed: observe::listed(&fleet.apis[0]).await.expect("the API lists its notifications"),
        shown: dashboard.seen().shown,
    };
    found.extend(anomalies(&observed));
    found.extend(observe::dead_letters(kit).await);
    found.extend(Some(devices.unacknowledged()).filter(|count| *count > 0).map(|messages| Anomaly::Unacknowledged { messages }));
    let seen = dashboard.seen();
    drop((devices, dashboard));
    let deaths = fleet.deaths();
    found.extend(fleet.terminate().await);
    report::finish(
        arguments,
        &report::Run {
            schedule,
            suffered: &suffered,
            published: &published,
            alerts_fired: observed.announced.iter().filter(|alert| alert.state == AlertState::Firing).count(),
            listed: observed.listed.iter().filter(|listed| listed.alert_of.is_some()).count(),
            seen: &seen,
            deaths: &deaths,
            anomalies: &found,
            disk: if disk.is_small() { "a file system of 4 MiB" } else { "not its own: the spool is limited instead" },
        },
        &arguments.output,
    );
    found
}

/// Readings flow until the last fault is recovered from and the time is over; then every device comes back to normal.
async fn undergo(
    arguments: &Arguments,
    schedule: &Schedule,
    fleet: &mut Fleet,
    servers: &Servers,
    disk: &Disk,
    devices: &Devices,
    dashboard: &Dashboard,
) -> (Vec<Suffered>, Vec<Anomaly>) {
    let mut workload = Workload::new(arguments.seed, arguments.devices, arguments.scenario.disturbed);
    let mut nemesis = Nemesis { fleet, servers, disk, devices, dashboard, connection: CONNECTIONS, markers: 0 };
    let faults = async {
        // All works before anything is taken away.
        assert!(nemesis.recovery().await.is_some(), "the suite works");
        if schedule.steps.is_empty() {
            nemesis.fleet.pass(Duration::from_secs(arguments.seconds)).await;
        }
        nemesis.follow(schedule).await
    };
    let flow = async {
        let mut pace = tokio::time::interval(Duration::from_secs(1) / arguments.rate);
        for turn in 0.. {
            pace.tick().await;
            publish(devices, turn % arguments.devices, workload.turn(now())).await;
        }
    };
    let mut outcome = tokio::select! {
        outcome = faults => outcome,
        () = flow => unreachable!("readings flow for ever"),
    };
    for (device, messages) in workload.finish(now()).into_iter().enumerate() {
        publish(devices, device, messages).await;
    }
    observe::becomes_so(PATIENCE, nemesis.fleet, async |_| devices.unacknowledged() == 0).await;
    // What came before these in their partitions has been taken when they are shown.
    let last = nemesis.recovery().await;
    outcome.1.extend(last.is_none().then(|| Anomaly::NoRecovery { fault: "the last reading".to_owned() }));
    outcome
}

/// Of one device, and so over one connection.
async fn publish(devices: &Devices, device: usize, messages: Vec<testkit::ordeal::Message>) {
    for message in messages {
        devices.publish(device % CONNECTIONS, message).await;
    }
}

fn now() -> Timestamp {
    SystemTime::now().into()
}

/// Until every effect is there that is to be expected, or for so long.
async fn settle(fleet: &mut Fleet, devices: &Devices, dashboard: &Dashboard) {
    let messages: Vec<_> = devices.diary().into_iter().map(|published| published.message).collect();
    let expected = excursions(&messages);
    observe::becomes_so(PATIENCE, fleet, async |fleet| {
        let Some(listed) = observe::listed(&fleet.apis[0]).await else { return false };
        let resolved = listed.iter().filter(|listed| listed.alert_of.is_some() && listed.is_resolved).count();
        let shown = dashboard.seen().shown;
        let is_shown = |one: &Listed| shown.contains(&Shown::Version { notification: one.id.clone(), version: one.version });
        resolved >= expected.len() && listed.iter().all(is_shown)
    })
    .await;
}
