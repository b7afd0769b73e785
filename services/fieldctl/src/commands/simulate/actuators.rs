//! Devices that take commands: told on their topics, answering with their state, and noted for who checks them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use clap::Args;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::adapters::mqtt::{Message, Outbound};
use crate::cli::duration;
use crate::domain::actuator::{Actuator, Misbehaviour, Noted};
use crate::domain::payload::{device_of, state_topic};

#[derive(Args)]
#[group(skip)]
pub(crate) struct Arguments {
    /// Devices take commands: `set` makes its arguments part of their state, everything is answered
    #[arg(long, conflicts_with = "into")]
    pub(crate) actuators: bool,
    /// How many of the first devices do not obey, in this order: late=N,twice=N,wrong=N,never=N,error=N
    #[arg(long, value_name = "COUNTS", requires = "actuators", default_value = "late=0")]
    misbehave: Misbehaviour,
    /// How long after a command those that are late answer
    #[arg(long, value_name = "TIME", requires = "actuators", default_value = "30s", value_parser = duration)]
    late_by: Duration,
    /// Append to this file what each device was told and did, a JSON object a line
    #[arg(long, value_name = "FILE", requires = "actuators")]
    report: Option<PathBuf>,
}

/// All devices that take commands.
pub(crate) struct Actuators {
    devices: BTreeMap<String, (Actuator, Outbound)>,
    late_by: Duration,
    report: Option<File>,
}

impl Actuators {
    /// The devices in the order of their numbers, each with the connection it answers by.
    pub(crate) fn new(arguments: &Arguments, devices: impl Iterator<Item = (String, Outbound)>) -> anyhow::Result<Self> {
        let open = |path: &Path| File::options().create(true).append(true).open(path).with_context(|| format!("{}", path.display()));
        let actuator = |(number, (device_id, outbound)): (usize, (String, Outbound))| {
            (device_id.clone(), (Actuator::new(device_id, arguments.misbehave.of(number)), outbound))
        };
        let report = arguments.report.as_deref().map(open).transpose()?;
        Ok(Self { devices: devices.enumerate().map(actuator).collect(), late_by: arguments.late_by, report })
    }

    /// Reports every device's state, then takes commands until nobody can send any more.
    pub(crate) async fn run(mut self, mut inbox: UnboundedReceiver<Message>) -> anyhow::Result<()> {
        for (device_id, (actuator, outbound)) in &self.devices {
            outbound.publish(&state_topic(device_id), true, actuator.reports(SystemTime::now().into())).await?;
        }
        let mut late = FuturesUnordered::new();
        loop {
            let message = tokio::select! {
                message = inbox.recv() => message,
                Some(sent) = late.next() => {
                    let () = sent?;
                    continue;
                }
            };
            let Some(message) = message else { return Ok(()) };
            let Some((actuator, outbound)) = device_of(&message.topic).and_then(|device_id| self.devices.get_mut(device_id)) else {
                continue;
            };
            let topic = state_topic(device_of(&message.topic).unwrap_or_default());
            let (noted, answer) = actuator.take(&message.payload, SystemTime::now().into());
            let outbound = outbound.clone();
            // Noted before it is answered: who saw the answer finds the line.
            note(self.report.as_mut(), &noted)?;
            let Some(answer) = answer else { continue };
            let late_by = if answer.late { self.late_by } else { Duration::ZERO };
            late.push(async move {
                tokio::time::sleep(late_by).await;
                for _ in 0..answer.times {
                    outbound.publish(&topic, true, answer.state.clone()).await?;
                }
                anyhow::Ok(())
            });
        }
    }
}

fn note(report: Option<&mut File>, noted: &Noted) -> anyhow::Result<()> {
    let Some(report) = report else { return Ok(()) };
    writeln!(report, "{}", serde_json::to_string(noted)?).context("--report")
}
