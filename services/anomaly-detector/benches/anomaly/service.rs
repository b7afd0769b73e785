//! The service on Kafka: readings a second of one worker on a topic that is full before it starts, and how long it takes to
//! work again after kill -9.

use std::time::{Duration, Instant};

use events::topics;
use testkit::bench::{Load, Report, Target, Throughput, metric, preload, watch};
use testkit::{Kit, Process, eventually_within};

use crate::Arguments;

const STAGE: &str = "anomaly-detector";
const TOPICS: [&str; 14] = [
    topics::READINGS,
    topics::DEVICE_STATUS,
    topics::ANOMALIES,
    topics::AGGREGATES,
    topics::SENSOR_HEALTH,
    "dlq.anomaly-detector.v1",
    "dlq.anomaly-detector-aggregates.v1",
    "dlq.anomaly-detector-group.v1",
    "retry.anomaly-detector.v1",
    "retry.anomaly-detector-aggregates.v1",
    "retry.anomaly-detector-group.v1",
    "state.anomaly-detector.v1",
    "state.anomaly-detector-aggregates.v1",
    "state.anomaly-detector-group.v1",
];

/// One worker of the detecting stage alone, everything else as shipped.
async fn service(kit: &Kit) -> Process {
    let environment = [
        ("FIELDWATCH__KAFKA__TOPIC_PREFIX", kit.prefix()),
        ("ANOMALY_DETECTOR__OPERATOR__WORKERS", "1"),
        ("ANOMALY_DETECTOR__AGGREGATES__ENABLED", "false"),
        ("ANOMALY_DETECTOR__GROUP__ENABLED", "false"),
    ];
    Process::start(STAGE, &environment.map(|(name, value)| (name.to_owned(), value.to_owned()))).await
}

async fn taken(port: u16) -> u64 {
    metric(port, "fieldwatch_messages_in_total", &[topics::READINGS]).await as u64
}

pub(crate) async fn run(arguments: &Arguments, report: &mut Report) {
    let kit = Kit::as_declared(&TOPICS).await;
    let load = Load {
        devices: arguments.devices,
        rounds: arguments.readings / u64::from(arguments.devices),
        seed: arguments.seed,
        excursion_every: 20_000,
    };
    let readings = preload(&kit, &load).await.readings;
    let mut service = service(&kit).await;
    let port = service.admin_port();
    let Throughput { per_second, cpu_micros_each, peak_rss_mib } = watch(service.pid(), readings, async || taken(port).await).await;
    let row = vec!["1 worker".into(), per_second.into(), cpu_micros_each.into(), peak_rss_mib.into()];
    report.table(
        format!("{readings} readings of {} devices on Kafka", load.devices),
        &["", "readings/s", "CPU µs each", "peak MiB"],
        vec![row],
    );
    report.target(Target::at_least("readings/s of one worker on Kafka", 100_000.0, per_second));

    eventually_within(Duration::from_mins(5), "all is committed", || async { (kit.lag(STAGE, topics::READINGS) == Some(0)).then_some(()) })
        .await;
    service.kill();
    // Work for every partition, so that the first of it taken says that all are restored.
    preload(&kit, &Load { rounds: 1, ..load.clone() }).await;
    // The dead member's session ends first; waiting for that is not restoring.
    tokio::time::sleep(Duration::from_secs(8)).await;
    let began = Instant::now();
    service.restart();
    let working =
        eventually_within(Duration::from_mins(5), "it works again", || async { (taken(port).await > 0).then(|| began.elapsed()) }).await;
    let restoring = metric(port, "fieldwatch_restore_seconds_sum", &[]).await;
    let replayed = metric(port, "fieldwatch_replayed_records_total", &[]).await;
    let row = vec![load.devices.into(), working.as_secs_f64().into(), restoring.into(), replayed.into()];
    report.table("Killed, then started again", &["devices", "start to first reading (s)", "restoring (s)", "replayed"], vec![row]);
    assert_eq!(service.terminate().await, Some(0), "it stops as it should");
}
