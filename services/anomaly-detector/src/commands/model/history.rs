//! A fleet's readings: from the topic, or from an archive exported of it (`series,timestamp,value`, seconds since 1970).

use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use events::{DEFAULT_TENANT, Event as _, Labels, Reading, Timestamp, topics};
use stream::decode::decode;
use stream::tail::{From, ToEnd};
use stream::{Failure, Registry};

use crate::Config;
use crate::commands::{CLIENT, CommandError};

/// Where readings come from.
#[derive(Clone, Debug)]
pub enum History {
    Since(Duration),
    Archive(PathBuf),
}

impl History {
    /// Gives every reading to `each`, those of a device in their order; how many could not be read.
    pub(super) async fn read(
        &self,
        config: &Config,
        mut each: impl FnMut(Reading) -> Result<(), CommandError>,
    ) -> Result<u64, CommandError> {
        match self {
            Self::Archive(path) => {
                let file = std::fs::File::open(path).map_err(|source| CommandError::InputUnreadable { path: path.clone(), source })?;
                from_archive(file, each)?;
                Ok(0)
            }
            Self::Since(since) => {
                let mut failed = None;
                let mut unreadable = 0;
                let read = from_topic(config, *since, |reading| match reading {
                    Some(reading) if failed.is_none() => failed = each(reading).err(),
                    Some(_) => {}
                    None => unreadable += 1,
                });
                read.await.map_err(CommandError::Topics)?;
                failed.map_or(Ok(unreadable), Err)
            }
        }
    }
}

async fn from_topic(config: &Config, since: Duration, mut each: impl FnMut(Option<Reading>)) -> anyhow::Result<()> {
    let registry = Registry::connect(&config.registry)?;
    let begin = Timestamp::from(SystemTime::now()).saturating_sub(since);
    let topic = config.kafka.prefixed(topics::READINGS);
    let mut log = ToEnd::open(&config.kafka, CLIENT, &topic, &From::Time(begin.as_millis()))?;
    while let Some(record) = log.next().await? {
        let Some(value) = record.value.as_deref() else { continue };
        match decode::<Reading>(&registry, value).await {
            Ok(reading) => each(Some(reading)),
            Err(Failure::Poison(_)) => each(None),
            Err(failure) => return Err(failure.into()),
        }
    }
    Ok(())
}

/// A series of an archive is a device of its own.
fn from_archive(input: impl Read, mut each: impl FnMut(Reading) -> Result<(), CommandError>) -> Result<(), CommandError> {
    let mut lines = csv::Reader::from_reader(input);
    for (number, line) in lines.deserialize::<(String, f64, f64)>().enumerate() {
        let problem = |problem: String| CommandError::ArchiveUnreadable { line: number + 2, problem };
        let (series, seconds, value) = line.map_err(|error| problem(error.to_string()))?;
        let at = Timestamp::from_seconds(seconds).ok_or_else(|| problem(format!("{seconds} is no time")))?;
        each(Reading {
            tenant: DEFAULT_TENANT.into(),
            device_id: series,
            group_id: None,
            metric: "value".into(),
            value,
            unit: "1".into(),
            measured_at: at,
            received_at: at,
            sequence: None,
            attributes: Labels::new(),
        })?;
    }
    Ok(())
}

/// Writes a history as an archive, readings measured before `until` only; how many.
pub async fn export(config: &Config, history: &History, until: Timestamp, output: &mut impl Write) -> Result<u64, CommandError> {
    let mut lines = csv::Writer::from_writer(output);
    let unwritable = |error: csv::Error| CommandError::OutputFailed(std::io::Error::other(error));
    lines.write_record(["series", "timestamp", "value"]).map_err(unwritable)?;
    let mut count = 0;
    history
        .read(config, |reading| {
            if reading.measured_at >= until || !reading.is_fresh() {
                return Ok(());
            }
            count += 1;
            let series = if matches!(history, History::Archive(_)) {
                reading.device_id.clone()
            } else {
                format!("{} {}", reading.key(), reading.metric)
            };
            let micros = reading.measured_at.as_micros();
            let seconds = format!("{}.{:06}", micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
            lines.write_record([&series, &seconds, &reading.value.to_string()]).map_err(unwritable)
        })
        .await?;
    lines.flush()?;
    Ok(count)
}
