//! How long a killed service with many keys takes until it works again.

use std::time::{Duration, Instant};

use events::topics;
use stream::admin::Admin;
use testkit::bench::{Load, Report, Usage, metric, preload};
use testkit::{Kit, eventually_within};

use crate::Arguments;
use crate::contender::{OUTPUTS, STAGE, TOPICS, service, taken};
use crate::records::held;

pub(crate) async fn run(arguments: &Arguments, report: &mut Report) {
    let kit = Kit::as_declared(&TOPICS).await;
    // Two readings of each device: enough for the default bound of records to snapshot most of them.
    let load = Load { devices: arguments.keys, rounds: 2, seed: arguments.seed, excursion_every: 20_000 };
    let readings = preload(&kit, &load).await.readings;
    let mut service = service(&kit, 1).await;
    let port = service.admin_port();
    let admin = Admin::connect(&kit.kafka).expect("admin");
    eventually_within(Duration::from_mins(10), "all readings are committed", || async {
        let lag = admin.lag(STAGE, topics::READINGS).expect("the group's lag");
        (taken(port).await == readings && lag.values().all(|(committed, end)| committed == end)).then_some(())
    })
    .await;
    service.kill();
    let snapshots = held(&kit, &kit.kafka.prefixed(OUTPUTS[1]));
    // Work for every partition, so that the first of it taken says that all are restored.
    preload(&kit, &Load { devices: 1_000, rounds: 1, ..load }).await;
    // The dead member's session ends first; waiting for that is not restoring.
    tokio::time::sleep(Duration::from_secs(8)).await;

    let began = Instant::now();
    service.restart();
    let working = eventually_within(Duration::from_mins(10), "the service works again", || async {
        (taken(port).await > 0).then(|| began.elapsed())
    })
    .await;
    let seconds = metric(port, "fieldwatch_restore_seconds_sum", &[]).await;
    let replayed = metric(port, "fieldwatch_replayed_records_total", &[]).await;
    let peak = Usage::of(service.pid()).expect("it runs").peak_rss_mib;
    let row = vec![
        arguments.keys.into(),
        working.as_secs_f64().into(),
        seconds.into(),
        snapshots.records.into(),
        snapshots.bytes.into(),
        replayed.into(),
        peak.into(),
    ];
    let columns = ["keys", "start to first reading (s)", "restoring (s)", "snapshots", "bytes", "replayed", "peak MiB"];
    report.table("Restore: killed, then started again, 1 worker", &columns, vec![row]);
}
