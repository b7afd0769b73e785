//! The readings of a CSV as one device's, with their own times.

use std::fs::File;
use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::Context as _;
use clap::Args;
use events::{DEFAULT_TENANT, Event, Labels, Reading, Timestamp, UNIT_CELSIUS};
use tokio::time::Instant;
use uuid::Uuid;

use crate::SUCCESS;
use crate::adapters::mqtt::{Broker, Connection};
use crate::adapters::outlet::KafkaOutlet;
use crate::adapters::signals::StopSignals;
use crate::cli::rate;
use crate::commands::simulate::PATIENCE;
use crate::context::{Context, wrong_usage};
use crate::domain::pace::Pace;
use crate::domain::{instant, payload};

#[derive(Args)]
pub(crate) struct Arguments {
    /// CSV with the columns timestamp,value; a header is passed over. Times: RFC 3339 or Unix
    file: PathBuf,
    /// Device that is to have sent them
    #[arg(long, value_name = "ID")]
    device: String,
    #[arg(long, value_name = "NAME", default_value = payload::METRIC)]
    metric: String,
    /// UCUM unit; over MQTT the bridge's route decides
    #[arg(long, value_name = "UNIT", default_value = UNIT_CELSIUS)]
    unit: String,
    /// Readings a second [default: as fast as they go]
    #[arg(long, value_name = "N", value_parser = rate)]
    rate: Option<f64>,
    /// Broker [default: mqtt.url of the configuration]
    #[arg(long, value_name = "URL", conflicts_with = "into")]
    mqtt: Option<String>,
    /// Straight into this topic: telemetry.readings.v1
    #[arg(long, value_name = "TOPIC")]
    into: Option<String>,
}

/// Where they go.
enum Target {
    Mqtt(Connection),
    Topic(Box<KafkaOutlet>),
}

pub(crate) async fn run(arguments: &Arguments, context: &mut Context<'_>) -> anyhow::Result<u8> {
    let file = File::open(&arguments.file).with_context(|| arguments.file.display().to_string())?;
    let mut target = connect(arguments, context).await?;
    let mut stop = StopSignals::listen()?;
    let pace = arguments.rate.map_or(Pace::Unpaced, Pace::PerSecond);
    let (started, mut sent) = (Instant::now(), 0);
    for reading in readings(file) {
        let reading = reading.with_context(|| arguments.file.display().to_string())?;
        if stop.asked_before(started + pace.due(sent)).await {
            break;
        }
        if stop.unless_asked(target.send(arguments, reading)).await.transpose()?.is_none() {
            break;
        }
        sent += 1;
    }
    target.finish().await?;
    context.out.line(format_args!("{sent} readings of {} sent and acknowledged", arguments.device))?;
    Ok(SUCCESS)
}

/// The readings of a CSV; a first line that is none is its header.
fn readings(file: impl std::io::Read) -> impl Iterator<Item = anyhow::Result<(Timestamp, f64)>> {
    let rows = csv::ReaderBuilder::new().has_headers(false).trim(csv::Trim::All).flexible(true).from_reader(file);
    rows.into_records().enumerate().filter_map(|(number, row)| {
        let row = match row {
            Ok(row) => row,
            Err(problem) => return Some(Err(problem.into())),
        };
        match parse(row.get(0), row.get(1)) {
            Err(_) if number == 0 => None,
            outcome => {
                let line = row.position().map_or(0, csv::Position::line);
                Some(outcome.map_err(|problem| anyhow::anyhow!("line {line}: {problem}")))
            }
        }
    })
}

fn parse(at: Option<&str>, value: Option<&str>) -> Result<(Timestamp, f64), String> {
    let (at, value) = (at.unwrap_or_default(), value.unwrap_or_default());
    let value = value.parse().ok().filter(|value| f64::is_finite(*value)).ok_or_else(|| format!("`{value}` is no number"));
    let at = instant::parse(at).ok_or_else(|| format!("`{at}` is no time"));
    Ok((at?, value?))
}

async fn connect(arguments: &Arguments, context: &Context<'_>) -> anyhow::Result<Target> {
    match arguments.into.as_deref() {
        None => {
            let broker = Broker::new(&context.config.mqtt, arguments.mqtt.as_deref())?;
            Ok(Target::Mqtt(broker.connect(&format!("fieldctl-{}", Uuid::new_v4().simple()), None).await?))
        }
        Some(topic) if topic == Reading::SCHEMA.topic => {
            let outlet = KafkaOutlet::connect(&context.config.kafka)?.with::<Reading>(&context.config.registry).await?;
            Ok(Target::Topic(Box::new(outlet)))
        }
        Some(other) => Err(wrong_usage(format!("readings go into {}, not into {other}", Reading::SCHEMA.topic))),
    }
}

impl Target {
    async fn send(&mut self, arguments: &Arguments, (at, value): (Timestamp, f64)) -> anyhow::Result<()> {
        match self {
            Self::Mqtt(connection) => {
                let topic = payload::telemetry_topic(&arguments.device);
                connection.publish(&topic, false, payload::reading(&arguments.metric, value, at)).await
            }
            Self::Topic(outlet) => {
                let reading = Reading {
                    tenant: DEFAULT_TENANT.to_owned(),
                    device_id: arguments.device.clone(),
                    group_id: None,
                    metric: arguments.metric.clone(),
                    value,
                    unit: arguments.unit.clone(),
                    measured_at: at,
                    received_at: SystemTime::now().into(),
                    sequence: None,
                    attributes: Labels::new(),
                };
                Ok(outlet.send_event(&reading).await?)
            }
        }
    }

    async fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Mqtt(mut connection) => {
                connection.acknowledged(PATIENCE).await?;
                connection.disconnect().await
            }
            Self::Topic(mut outlet) => Ok(outlet.delivered().await.map(drop)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_a_time_and_a_finite_number() {
        assert_eq!(parse(Some("2026-01-31 08:15:30"), Some("21.5")), Ok((Timestamp::from_millis(1_769_847_330_000), 21.5)));
        assert_eq!(parse(Some("timestamp"), Some("1")), Err("`timestamp` is no time".to_owned()));
        assert_eq!(parse(Some("1769847330"), Some("NaN")), Err("`NaN` is no number".to_owned()));
        assert_eq!(parse(None, None), Err("`` is no time".to_owned()));
    }

    mod fuzz {
        use super::*;

        #[test]
        fn a_csv_gives_finite_readings_or_says_in_which_line_it_does_not() {
            let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/csv");
            testkit::fuzz::fuzz("csv", &corpus, |bytes| {
                let (mut read, mut refused) = (0, 0);
                for reading in readings(bytes) {
                    match reading {
                        Ok((_, value)) => {
                            assert!(value.is_finite());
                            read += 1;
                        }
                        Err(problem) => {
                            assert!(problem.to_string().contains("line"), "{problem}");
                            refused += 1;
                        }
                    }
                }
                (read.min(16), refused.min(16))
            });
        }
    }
}
