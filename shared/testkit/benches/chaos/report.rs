//! Figures of a run, as tables and as JSON.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use testkit::bench::{Percentiles, Report, Target};
use testkit::ordeal::{Anomaly, Schedule, Shown, excursions};

use crate::devices::Published;
use crate::nemesis::Suffered;
use crate::stream::Seen;

/// Anomalies of one kind that are shown; the JSON has all.
const SHOWN: usize = 10;

pub(crate) struct Run<'a> {
    pub(crate) schedule: &'a Schedule,
    pub(crate) suffered: &'a [Suffered],
    pub(crate) published: &'a [Published],
    pub(crate) alerts_fired: usize,
    pub(crate) listed: usize,
    pub(crate) seen: &'a Seen,
    pub(crate) deaths: &'a [String],
    pub(crate) anomalies: &'a [Anomaly],
    pub(crate) disk: &'static str,
}

/// Prints it and writes it to `path`.
pub(crate) fn finish(parameters: impl Serialize, run: &Run<'_>, path: &Path) {
    let mut report = Report::new("chaos", parameters);
    let seconds = |time: Duration| json!((time.as_secs_f64() * 10.0).round() / 10.0);
    let steps = run.suffered.iter().map(|Suffered { step, at, recovery, note }| {
        let beside = step.beside.map(|(service, replica)| format!(" beside kill -9 {service} {replica}")).unwrap_or_default();
        let fault = format!("{}{beside}", step.fault);
        vec![json!(fault), seconds(*at), seconds(step.hold), recovery.map_or(Value::Null, seconds), json!(note)]
    });
    let title = format!("Faults of {}, seed {}", run.schedule.scenario.name, run.schedule.seed);
    report.table(title, &["fault", "at s", "for s", "recovered after s", ""], steps.collect());

    let messages: Vec<_> = run.published.iter().map(|published| published.message.clone()).collect();
    let expected = excursions(&messages);
    let count = |matches: fn(&Anomaly) -> bool| run.anomalies.iter().filter(|anomaly| matches(anomaly)).count();
    let versions = run.seen.shown.iter().filter(|shown| matches!(shown, Shown::Version { .. })).count();
    let figures = [
        ("messages published", run.published.len()),
        ("acknowledged", run.published.iter().filter(|published| published.acknowledged).count()),
        ("alerts expected", expected.len()),
        ("alerts announced", run.alerts_fired),
        ("notifications of alerts at the API", run.listed),
        (
            "of them seen on the stream",
            expected.iter().filter(|one| run.seen.opened.contains_key(&(one.device.clone(), one.started_at))).count(),
        ),
        ("versions on the stream", versions),
        ("stream resumed", run.seen.resumed),
        ("services that ended by themselves", run.deaths.len()),
    ];
    report.table("What there was", &["", "count"], figures.iter().map(|(what, count)| vec![json!(what), json!(count)]).collect());
    if let Some(Percentiles { count, p50, p99, max, .. }) = Percentiles::of(waits(run)) {
        let row = vec![json!("publish to stream"), json!(count), json!(p50), json!(p99), json!(max)];
        report.table("Faults included", &["", "alerts", "p50 s", "p99 s", "max s"], vec![row]);
    }
    report.table("Kept in mind", &["", ""], kept_in_mind(run));
    anomalies(&mut report, run.anomalies);
    report.target(Target::at_most("lost", 0.0, count(Anomaly::is_loss) as f64));
    report.target(Target::at_most("duplicates", 0.0, count(Anomaly::is_duplicate) as f64));
    report.target(Target::at_most("anomalies in all", 0.0, run.anomalies.len() as f64));
    report.finish(path);
}

/// Seconds from the publish of each reading that fires to its notification.
fn waits(run: &Run<'_>) -> Vec<f64> {
    let mut published = BTreeMap::new();
    for one in run.published {
        published.entry((one.message.device.clone(), one.message.measured_at)).or_insert(one.at);
    }
    let waits = run.seen.opened.iter().filter_map(|(which, at)| Some(at.saturating_duration_since(*published.get(which)?)));
    waits.map(|wait| wait.as_secs_f64()).collect()
}

fn kept_in_mind(run: &Run<'_>) -> Vec<Vec<Value>> {
    let mut rows = vec![vec![json!("the spool's disk"), json!(run.disk)]];
    rows.extend(run.deaths.iter().map(|death| vec![json!("ended by itself"), json!(death)]));
    rows
}

fn anomalies(report: &mut Report, anomalies: &[Anomaly]) {
    let mut kinds = BTreeMap::<&str, Vec<&Anomaly>>::new();
    for anomaly in anomalies {
        kinds.entry(anomaly.name()).or_default().push(anomaly);
    }
    let rows = kinds.values().flat_map(|all| {
        let more = all.len().saturating_sub(SHOWN);
        let shown = all.iter().take(SHOWN).map(|anomaly| vec![json!(anomaly.to_string())]);
        shown.chain((more > 0).then(|| vec![json!(format!("  and {more} more"))]))
    });
    if !anomalies.is_empty() {
        report.table("Anomalies", &[""], rows.collect());
    }
}
