//! Publishes readings of which some raise an alert, listens to the notification stream, and says how long each alert took
//! from its publish to its event. An alert that never came is a failure.

mod report;
mod watch;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use clap::Args;
use events::Timestamp;
use serde_json::json;
use service::Secret;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

use crate::adapters::mqtt::{Broker, Connection};
use crate::adapters::notification_stream::NotificationStream;
use crate::cli::{duration, rate};
use crate::context::{Context, wrong_usage};
use crate::domain::pace::Pace;
use crate::domain::payload::seconds;
use crate::domain::probe_plan::ProbePlan;
use report::Report;
use watch::Watch;

const TOPIC: &str = "iot/sensor/temperature";

#[derive(Args)]
pub(crate) struct Arguments {
    /// Broker [default: mqtt.url of the configuration]
    #[arg(long, value_name = "URL")]
    mqtt: Option<String>,
    /// The notification API
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    api: String,
    /// File with an API key of scope read
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
    /// Readings to publish
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    readings: usize,
    /// Readings among them that begin an excursion
    #[arg(long, value_name = "N", default_value_t = 300)]
    alerts: usize,
    #[arg(long, value_name = "N", default_value_t = 50)]
    devices: usize,
    /// Readings a second
    #[arg(long, value_name = "N", default_value_t = 500.0, value_parser = rate)]
    rate: f64,
    /// How long to wait, after the last reading, for alerts that are missing
    #[arg(long, value_name = "TIME", default_value = "120s", value_parser = duration)]
    timeout: Duration,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: &Arguments, context: &mut Context<'_>) -> anyhow::Result<u8> {
    let plan = ProbePlan::new(arguments.readings, arguments.alerts, arguments.devices).map_err(wrong_usage)?;
    let key = Secret::default().or_file(&arguments.key_file.to_string_lossy())?;
    let broker = Broker::new(&context.config.mqtt, arguments.mqtt.as_deref())?;
    let run = Uuid::new_v4().simple().to_string()[..8].to_owned();

    let mut stream = NotificationStream::new(&arguments.api, key)?;
    let opened = stream.open().await?;
    let (events, arrivals) = mpsc::unbounded_channel();
    let mut following = JoinSet::new();
    following.spawn(stream.follow(opened, events));
    let mut watch = Watch::new(arrivals);
    watch.until_live().await?;

    let mut connection = broker.connect(&format!("fieldctl-probe-{run}"), None).await?;
    let took = publish(plan, arguments, &run, &mut connection, &mut watch).await?;
    connection.acknowledged(arguments.timeout).await?;
    watch.until_complete(arguments.timeout).await?;
    let (latencies, missing, gaps) = watch.close();
    let reconnects = following.join_next().await.transpose()?.unwrap_or_default();
    connection.disconnect().await?;

    let report = Report { run, readings: arguments.readings, alerts: arguments.alerts, took, latencies, missing, gaps, reconnects };
    report.print(arguments.json, &mut context.out)?;
    Ok(report.status())
}

/// How long publishing took.
async fn publish(
    plan: ProbePlan,
    arguments: &Arguments,
    run: &str,
    connection: &mut Connection,
    watch: &mut Watch,
) -> anyhow::Result<Duration> {
    let pace = Pace::PerSecond(arguments.rate);
    let (started, mut latest) = (Instant::now(), vec![Timestamp::MIN; arguments.devices]);
    for (number, planned) in (0..).zip(plan.readings()) {
        tokio::time::sleep_until(started + pace.due(number)).await;
        // Whole milliseconds survive any JSON number; a device is never given one twice, so its time goes forward.
        let now = Timestamp::from_millis(Timestamp::from(SystemTime::now()).as_millis());
        let last = &mut latest[planned.device];
        *last = now.max(last.saturating_add(Duration::from_millis(1)));
        let device_id = format!("probe-{run}-{:02}", planned.device);
        let payload = json!({"device_id": device_id, "temperature": planned.value, "timestamp": seconds(*last)});
        if planned.fires {
            watch.expect(device_id, *last);
        }
        connection.publish(TOPIC, false, payload.to_string().into_bytes()).await.context("publishing")?;
    }
    Ok(started.elapsed())
}
