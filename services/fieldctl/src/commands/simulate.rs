//! Synthetic devices, over MQTT as devices are, or straight into a topic so that one service can be fed alone.

mod actuators;
mod course;
mod fleet_connections;
mod topic_feed;

use std::time::{Duration, SystemTime};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;
use uuid::Uuid;

use crate::SUCCESS;
use crate::adapters::mqtt::Broker;
use crate::adapters::signals::StopSignals;
use crate::cli::{duration, rate, share};
use crate::context::Context;
use crate::domain::fleet::{Fleet, FleetPlan, Step};
use crate::domain::pace::Pace;
use course::Course;
use fleet_connections::FleetConnections;
use topic_feed::TopicFeed;

/// How long a broker may take to acknowledge the last messages.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Args)]
pub(crate) struct Arguments {
    /// Devices, named sim-001, sim-002, …
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    devices: u32,
    /// Put before the number in a device's id
    #[arg(long, value_name = "NAME", default_value = "sim")]
    prefix: String,
    /// Readings a second, all devices together [default: one a device; with --count as fast as they go]
    #[arg(long, value_name = "N", value_parser = rate)]
    rate: Option<f64>,
    /// Stop after so many messages
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Stop after this time
    #[arg(long, value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,
    /// Same seed, same devices, same values [default: a new one, printed]
    #[arg(long)]
    seed: Option<u64>,
    /// Device time runs so much faster, from as far back that it ends now; needs --count or --duration
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = rate)]
    speedup: f64,
    /// Share of readings inside an excursion above 28.0 (without a value: 0.2)
    #[arg(long, value_name = "SHARE", num_args = 0..=1, require_equals = true, default_value = "0.01", default_missing_value = "0.2", value_parser = share)]
    excursions: f64,
    /// Share of readings lost to faults: stuck, dropped out, spikes, unreadable messages (without a value: 0.02)
    #[arg(long, value_name = "SHARE", num_args = 0..=1, require_equals = true, default_value = "0", default_missing_value = "0.02", value_parser = share)]
    faults: f64,
    /// Broker [default: mqtt.url of the configuration]
    #[arg(long, value_name = "URL", conflicts_with = "into")]
    mqtt: Option<String>,
    /// Straight into telemetry.readings.v1, telemetry.device-status.v1, alerts.temperature.v1, anomalies.v1 or commands.v1
    #[arg(long, value_name = "TOPIC")]
    into: Option<String>,
    #[command(flatten)]
    actuators: actuators::Arguments,
}

pub(crate) async fn run(arguments: &Arguments, context: &mut Context<'_>) -> anyhow::Result<u8> {
    let seed = arguments.seed.unwrap_or_else(|| Uuid::new_v4().as_u64_pair().0);
    let course = Course::of(arguments, SystemTime::now().into())?;
    let plan = FleetPlan {
        seed,
        devices: arguments.devices as usize,
        prefix: arguments.prefix.clone(),
        start: course.start,
        interval: course.interval,
        excursions: arguments.excursions,
        faults: arguments.faults,
    };
    let mut stop = StopSignals::listen()?;
    let mut target = if let Some(topic) = &arguments.into {
        Target::Topic(Box::new(TopicFeed::connect(&context.config, topic, plan.clone()).await?))
    } else {
        let broker = Broker::new(&context.config.mqtt, arguments.mqtt.as_deref())?;
        Target::Mqtt(FleetConnections::connect(&broker, &plan, &arguments.actuators).await?)
    };
    context.out.line(format_args!("seed {seed}: {} devices, {course}", plan.devices))?;
    let started = Instant::now();
    let sent = send(Fleet::new(plan), &mut target, &course, &mut stop).await?;
    target.finish().await?;
    let seconds = started.elapsed().as_secs_f64();
    context.out.line(format_args!("{sent} messages in {seconds:.1} s ({:.0} a second), all acknowledged", sent as f64 / seconds))?;
    Ok(SUCCESS)
}

/// Until the course ends or a signal asks to stop; how many messages were sent.
async fn send(fleet: Fleet, target: &mut Target, course: &Course, stop: &mut StopSignals) -> anyhow::Result<u64> {
    let bar = progress_bar(course.messages());
    let (started, mut sent) = (Instant::now(), 0);
    for (number, step) in (0..).zip(fleet) {
        let due = course.pace.due(number);
        let is_over = course.count.is_some_and(|count| sent >= count) || course.duration.is_some_and(|duration| due >= duration);
        // Unpaced, the clock decides.
        let is_late = course.pace == Pace::Unpaced && course.duration.is_some_and(|duration| started.elapsed() >= duration);
        if is_over || is_late || stop.asked_before(started + due).await {
            break;
        }
        let Some(is_sent) = stop.unless_asked(target.send(&step)).await.transpose()? else { break };
        sent += u64::from(is_sent);
        bar.set_position(sent);
    }
    bar.finish_and_clear();
    Ok(sent)
}

/// On standard error, and only where that is a terminal.
fn progress_bar(messages: Option<u64>) -> ProgressBar {
    let (bar, template) = match messages {
        Some(messages) => (ProgressBar::new(messages), "{wide_bar} {human_pos}/{human_len} {per_sec} {eta}"),
        None => (ProgressBar::new_spinner(), "{spinner} {human_pos} messages {per_sec}"),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

enum Target {
    Mqtt(FleetConnections),
    Topic(Box<TopicFeed>),
}

impl Target {
    /// Whether the step said anything.
    async fn send(&mut self, step: &Step) -> anyhow::Result<bool> {
        match self {
            Self::Mqtt(connections) => connections.send(step).await,
            Self::Topic(feed) => feed.send(step).await,
        }
    }

    async fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Mqtt(connections) => connections.finish().await,
            Self::Topic(feed) => feed.finish().await,
        }
    }
}
