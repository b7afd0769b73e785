//! Readings a second and CPU a reading on a topic that is full before anyone starts.

use std::collections::BTreeMap;
use std::path::PathBuf;

use events::topics;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use serde_json::Value;
use stream::admin::{Admin, Topic};
use testkit::Kit;
use testkit::bench::{Load, Preloaded, Report, Spread, Target, Throughput, metric, preload, watch};

use crate::Arguments;
use crate::contender::{Counting, OUTPUTS, STAGE, TOPICS, service, taken};
use crate::records::{held, on_disk};

const BARE: &str = "bare consumer";
const ONE_WORKER: &str = "temperature-alert, 1 worker";
const ROCKSDB: &str = "Kafka Streams, RocksDB, 1 thread";

/// One run of one contender.
struct Run {
    throughput: Throughput,
    alerts: Option<u64>,
    transactions: Option<f64>,
    /// Readings taken whose offsets were not committed when it had stopped: 0, or a restart works on them again.
    uncommitted: Option<f64>,
    state: Option<State>,
}

/// What a run of the service wrote to its state topic.
#[derive(Clone, Copy)]
struct State {
    bytes: u64,
    /// Of the input's segments, both compressed; where the broker's folder is known.
    share_on_disk: Option<f64>,
}

pub(crate) async fn run(arguments: &Arguments, report: &mut Report) {
    let kit = Kit::as_declared(&TOPICS).await;
    let devices = arguments.devices;
    let load = Load { devices, rounds: arguments.readings / u64::from(devices), seed: arguments.seed, excursion_every: 20_000 };
    let input = preload(&kit, &load).await;
    let rate = input.readings as f64 / input.seconds;
    println!("{} readings, {} bytes, written at {rate:.0}/s", input.readings, input.bytes);

    let mut runs: BTreeMap<String, Vec<Run>> = BTreeMap::new();
    let mut order = Vec::new();
    for _ in 0..arguments.repetitions {
        let mut took = vec![(BARE.to_owned(), bare(&kit, input).await)];
        for workers in [1, 2] {
            let name = if workers == 1 { ONE_WORKER.to_owned() } else { format!("temperature-alert, {workers} workers") };
            took.push((name, operator(arguments, &kit, workers, input).await));
        }
        if arguments.kafka_streams.is_some() {
            for (store, label) in [("rocksdb", "RocksDB"), ("memory", "in memory")] {
                for threads in [1, 2] {
                    let name = format!("Kafka Streams, {label}, {threads} thread{}", if threads == 1 { "" } else { "s" });
                    took.push((name, kafka_streams(arguments, &kit, store, threads, input).await));
                }
            }
        }
        for (name, run) in took {
            if !order.contains(&name) {
                order.push(name.clone());
            }
            runs.entry(name).or_default().push(run);
        }
    }
    tell(arguments, report, input, &order, &runs);
}

/// A full run takes many minutes: each figure is shown when it is there.
fn told(name: &str, throughput: Throughput) {
    println!("{name}: {:.0}/s", throughput.per_second);
}

async fn bare(kit: &Kit, input: Preloaded) -> Run {
    let process = Counting::bare(&kit.kafka.prefixed(topics::READINGS));
    let throughput = watch(process.pid(), input.readings, async || process.consumed()).await;
    told(BARE, throughput);
    Run { throughput, alerts: None, transactions: None, uncommitted: None, state: None }
}

async fn operator(arguments: &Arguments, kit: &Kit, workers: usize, input: Preloaded) -> Run {
    kit.renew(&OUTPUTS).await;
    forget_group(kit, &kit.kafka.prefixed(STAGE)).await;
    let process = service(kit, workers).await;
    let port = process.admin_port();
    let throughput = watch(process.pid(), input.readings, async || taken(port).await).await;
    told(&format!("{STAGE}, {workers}"), throughput);
    let transactions = metric(port, "fieldwatch_transactions_total", &["outcome=\"committed\""]).await;
    assert_eq!(process.terminate().await, Some(0), "temperature-alert stops as it should");
    let lag = Admin::connect(&kit.kafka).and_then(|admin| admin.lag(STAGE, topics::READINGS)).expect("the group's lag");
    let uncommitted = lag.values().map(|(committed, end)| end - committed).sum::<i64>() as f64;
    let topic = kit.kafka.prefixed(OUTPUTS[1]);
    let share_on_disk = |log: &PathBuf| on_disk(log, &topic) as f64 / on_disk(log, &kit.kafka.prefixed(topics::READINGS)) as f64;
    let state = State { bytes: held(kit, &topic).bytes, share_on_disk: arguments.kafka_log.as_ref().map(share_on_disk) };
    let alerts = held(kit, &kit.kafka.prefixed(OUTPUTS[0])).records;
    Run { throughput, alerts: Some(alerts), transactions: Some(transactions), uncommitted: Some(uncommitted), state: Some(state) }
}

async fn kafka_streams(arguments: &Arguments, kit: &Kit, store: &str, threads: usize, input: Preloaded) -> Run {
    let folder = arguments.kafka_streams.as_ref().expect("there is a Kafka Streams program");
    let admin = Admin::connect(&kit.kafka).expect("admin");
    // Names of its own for every run: nothing of the last one is waited for.
    let application = format!("{}{}", kit.prefix(), uuid::Uuid::new_v4().simple());
    let output = format!("{application}-alerts");
    admin.apply(&[Topic { name: output.clone(), partitions: 12, config: BTreeMap::new() }], 1).await.expect("its output topic");
    let process = Counting::kafka_streams(&arguments.java, folder, kit, &application, &output, store, threads);
    let throughput = watch(process.pid(), input.readings, async || process.consumed()).await;
    told(&format!("Kafka Streams, {store}, {threads}"), throughput);
    process.terminate().await;
    let alerts = held(kit, &output).records;
    admin.delete(&[output, format!("{application}-firing-changelog")]).await.expect("its topics are deleted");
    Run { throughput, alerts: Some(alerts), transactions: None, uncommitted: None, state: None }
}

/// The next member starts at the beginning. A group that never was is as good.
async fn forget_group(kit: &Kit, group: &str) {
    let client: AdminClient<DefaultClientContext> = kit.kafka.client("bench").expect("settings").create().expect("an admin client");
    for deleted in client.delete_groups(&[group], &AdminOptions::new()).await.expect("Kafka answers") {
        if let Err((group, code)) = deleted {
            assert_eq!(code, rdkafka::types::RDKafkaErrorCode::GroupIdNotFound, "{group} is deleted");
        }
    }
}

fn tell(arguments: &Arguments, report: &mut Report, input: Preloaded, order: &[String], runs: &BTreeMap<String, Vec<Run>>) {
    let spread = |name: &str, figure: &dyn Fn(&Run) -> Option<f64>| Spread::of(runs.get(name)?.iter().filter_map(figure).collect());
    let rate = |name: &str| spread(name, &|run| Some(run.throughput.per_second)).map(|rate| rate.median);
    let rows = order.iter().map(|name| {
        let per_second = spread(name, &|run| Some(run.throughput.per_second)).expect("it ran");
        let median = |figure: &dyn Fn(&Run) -> Option<f64>| spread(name, figure).map_or(Value::Null, |spread| spread.median.into());
        vec![
            name.clone().into(),
            per_second.median.into(),
            per_second.min.into(),
            per_second.max.into(),
            median(&|run| Some(run.throughput.cpu_micros_each)),
            median(&|run| Some(run.throughput.peak_rss_mib)),
            median(&|run| run.alerts.map(|alerts| alerts as f64)),
            median(&|run| run.transactions),
            median(&|run| run.uncommitted),
        ]
    });
    let title = format!("Throughput: {} readings of {} devices, {} runs each", input.readings, arguments.devices, arguments.repetitions);
    let columns = ["", "readings/s", "min", "max", "CPU µs each", "peak MiB", "alerts", "transactions", "uncommitted"];
    report.table(title, &columns, rows.collect());

    let ours = rate(ONE_WORKER).expect("it ran");
    if let Some(theirs) = rate(ROCKSDB) {
        report.peer("Kafka Streams", "4.3.1");
        report.target(Target::at_least("readings/s, times Kafka Streams (RocksDB)", 3.0, ours / theirs));
    }
    report.target(Target::at_least("readings/s, share of the bare consumer's (%)", 60.0, 100.0 * ours / rate(BARE).expect("it ran")));
    let bytes = spread(ONE_WORKER, &|run| Some(100.0 * run.state?.bytes as f64 / input.bytes as f64)).expect("it ran").median;
    report.target(Target::at_most("state topic, share of input bytes (%)", 5.0, bytes));
    let on_disk = spread(ONE_WORKER, &|run| run.state?.share_on_disk.map(|share| 100.0 * share));
    let rows = vec![
        vec!["keys, values, headers".into(), bytes.into()],
        vec!["segments on disk".into(), on_disk.map_or(Value::Null, |share| share.median.into())],
    ];
    report.table("State topic", &["", "% of input"], rows);
}
