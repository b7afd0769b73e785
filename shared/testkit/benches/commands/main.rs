//! How soon a device has what was asked of the API, and how soon that is verified: notifier, outbox-relay, device-commands,
//! mqtt-bridge and the broker between, under a steady load; beside it the broker alone. All share the machine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark that cannot measure fails"
)]

mod floor;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::Parser;
use events::{Command, CommandOutcome, CommandResult, Event, OutboundCommand, Timestamp, topics};
use serde::Serialize;
use serde_json::json;
use testkit::bench::{Percentiles, Report, Target};
use testkit::{Answer, Kit, Lamps, Suite, What, capture, eventually_within};
use tokio::task::JoinSet;
use uuid::Uuid;

/// From a POST to a VERIFIED.
const SERVICES: [&str; 4] = ["notifier", "outbox-relay", "device-commands", "mqtt-bridge"];

/// Measures commands against Kafka, registry, Postgres and Mosquitto of `scripts/infra env`.
#[derive(Parser, Serialize)]
struct Arguments {
    /// Commands a second.
    #[arg(long, default_value_t = 100)]
    rate: u32,
    /// Seconds of it.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Seconds before that are not counted: for minutes a JVM compiles what its broker runs.
    #[arg(long, default_value_t = 240)]
    warm_up: u32,
    /// Devices, told in turn.
    #[arg(long, default_value_t = 100)]
    devices: usize,
    /// Where the figures go.
    #[arg(long, default_value = "target/bench/commands.json")]
    output: PathBuf,
    /// Whether it works, not how fast it is.
    #[arg(long)]
    quick: bool,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A command, as the one who asked for it saw it.
struct Asked {
    at: Timestamp,
    /// Until the API answered.
    answered: Duration,
    id: String,
}

#[tokio::main]
async fn main() {
    let mut arguments = Arguments::parse();
    if arguments.quick {
        (arguments.seconds, arguments.warm_up) = (5, 5);
    }
    let mut report = Report::new("commands", &arguments);
    let ids: Vec<String> = (0..arguments.devices).map(|number| format!("lamp-{number:03}")).collect();
    let count = arguments.rate * arguments.seconds;

    let mut suite = Suite::new(Kit::with_all_topics().await).await;
    suite.start(&SERVICES).await;
    let lamps = Lamps::start(&suite.mosquitto, &ids, |_, _, _| Answer::Obey).await;
    suite.until_known(&ids).await;
    ask(&suite, &ids, arguments.rate, arguments.rate * arguments.warm_up).await;
    let asked = ask(&suite, &ids, arguments.rate, count).await;
    let told = eventually_within(Duration::from_mins(1), "every device is told", || async {
        let told = first_times(lamps.happened().into_iter().filter(|one| one.what == What::Told).map(|one| (one.command_id, one.at)));
        asked.iter().all(|asked| told.contains_key(&asked.id)).then_some(told)
    })
    .await;
    let verified = eventually_within(Duration::from_mins(1), "every command is verified", || async {
        let mut captured = capture(&suite.kit, topics::COMMAND_RESULTS);
        let mut verified = BTreeMap::new();
        for record in captured.rest().await {
            let result: CommandResult = captured.event(&record).await;
            if result.outcome == CommandOutcome::Verified {
                verified.insert(result.command_id.to_string(), result.at);
            }
        }
        asked.iter().all(|asked| verified.contains_key(&asked.id)).then_some(verified)
    })
    .await;
    let published = produced(&suite.kit, topics::COMMANDS, |command: Command| command.command_id).await;
    let sent = produced(&suite.kit, topics::OUTBOUND_COMMANDS, |command: OutboundCommand| command.command_id).await;
    suite.terminate().await;

    let since = |times: &BTreeMap<String, Timestamp>| millis(asked.iter().map(|asked| times[&asked.id].since(asked.at)));
    let answered = millis(asked.iter().map(|asked| asked.answered));
    let (published, sent, told, verified) = (since(&published), since(&sent), since(&told), since(&verified));
    let floor = millis(floor::run(arguments.rate, arguments.seconds.min(20)).await.into_iter());
    report.table(
        format!("{} commands a second to {} devices, from the request on", arguments.rate, arguments.devices),
        &Percentiles::COLUMNS,
        vec![
            answered.row("the API answers"),
            published.row("outbox-relay publishes it"),
            sent.row("device-commands sends it"),
            told.row("its device is told"),
            verified.row("it is verified"),
            floor.row("MQTT alone, QoS 2"),
        ],
    );
    report.target(Target::at_most("asked for to told, p50 ms", 25.0, told.p50));
    report.target(Target::at_most("asked for to told, p99 ms", 80.0, told.p99));
    report.finish(&arguments.output);
}

/// One request at its time, however long those before it take.
async fn ask(suite: &Suite, ids: &[String], rate: u32, count: u32) -> Vec<Asked> {
    let mut pace = tokio::time::interval(Duration::from_secs(1) / rate);
    let mut asking = JoinSet::new();
    for (number, id) in (0..count).zip(ids.iter().cycle()) {
        pace.tick().await;
        let (api, body) = (suite.api.clone(), json!({ "device_id": id, "name": "set", "desired_state": { "n": number } }));
        asking.spawn(async move {
            let (at, key) = (Timestamp::from(SystemTime::now()), Uuid::new_v4().to_string());
            let command = api.post_once("/v1/commands", &body, &key).await.expect("a command is taken");
            let answered = Timestamp::from(SystemTime::now()).since(at);
            Asked { at, answered, id: command["command_id"].as_str().expect("an id").to_owned() }
        });
    }
    asking.join_all().await
}

/// When the event of each command was given to its producer, in whole milliseconds; the first time.
async fn produced<E: Event>(kit: &Kit, topic: &str, command_id: impl Fn(E) -> Uuid) -> BTreeMap<String, Timestamp> {
    let mut captured = capture(kit, topic);
    let mut times = Vec::new();
    for record in captured.rest().await {
        let at = Timestamp::from_millis(record.timestamp.expect("Kafka keeps times"));
        times.push((command_id(captured.event(&record).await).to_string(), at));
    }
    first_times(times.into_iter())
}

/// Of what came more than once, the first time.
fn first_times(times: impl Iterator<Item = (String, Timestamp)>) -> BTreeMap<String, Timestamp> {
    let mut first = BTreeMap::new();
    for (id, at) in times {
        let earliest = first.entry(id).or_insert(at);
        *earliest = at.min(*earliest);
    }
    first
}

fn millis(times: impl Iterator<Item = Duration>) -> Percentiles {
    Percentiles::of(times.map(|time| time.as_secs_f64() * 1_000.0).collect()).expect("a sample")
}
