//! A topic's records as they come, decoded.

use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use clap::Args;
use events::Timestamp;
use serde_json::json;
use stream::tail::{From, Seen, Tail};
use stream::{Failure, Record, Registry};

use crate::adapters::log_reader::{full_name, open_tail};
use crate::adapters::value::{Decoded, headers_json, text};
use crate::cli::duration;
use crate::context::{Context, wrong_usage};
use crate::domain::instant;
use crate::output::Output;
use crate::{FAILURE, SUCCESS};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Topic, without the configured prefix
    topic: String,
    /// Begin with the oldest record [default: only what comes from now on]
    #[arg(long, conflicts_with = "since")]
    from_beginning: bool,
    /// Begin with what was written since then: 10m, or an instant
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Stop after so many records
    #[arg(long, value_name = "N")]
    max: Option<u64>,
    /// Stop after this time; exits 1 when there were fewer than --max
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
    /// Only records of this key
    #[arg(long)]
    key: Option<String>,
    /// One JSON object a record
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: &Arguments, context: &mut Context<'_>) -> anyhow::Result<u8> {
    let from = match &arguments.since {
        _ if arguments.from_beginning => From::Beginning,
        None => From::End,
        Some(since) => {
            let since = instant::parse_since(since, SystemTime::now().into());
            From::Time(since.ok_or_else(|| wrong_usage("--since is a duration like 10m, or an instant"))?.as_millis())
        }
    };
    let registry = Registry::connect(&context.config.registry)?;
    let mut tail = open_tail(&context.config.kafka, &full_name(&context.config.kafka, &arguments.topic), &from)?;
    let printing = print_records(&mut tail, &registry, arguments, &mut context.out);
    let Some(timeout) = arguments.timeout else {
        printing.await?;
        return Ok(SUCCESS);
    };
    match tokio::time::timeout(timeout, printing).await {
        Ok(printed) => printed.map(|()| SUCCESS),
        Err(_) if arguments.max.is_none() => Ok(SUCCESS),
        Err(_) => Ok(FAILURE),
    }
}

/// Until --max records were printed.
async fn print_records(tail: &mut Tail, registry: &Registry, arguments: &Arguments, out: &mut Output<'_>) -> anyhow::Result<()> {
    let mut left = arguments.max.unwrap_or(u64::MAX);
    while left > 0 {
        let record = match tail.next().await {
            Ok(Seen::Record(record)) => record,
            // The client goes on trying by itself.
            Ok(Seen::End(_)) | Err(Failure::Transient(_)) => continue,
            Err(failure) => return Err(failure.into()),
        };
        if arguments.key.as_ref().is_some_and(|key| record.key.as_deref() != Some(key.as_bytes())) {
            continue;
        }
        print(&record, registry, arguments.json, out).await?;
        left -= 1;
    }
    Ok(())
}

async fn print(record: &Record, registry: &Registry, as_json: bool, out: &mut Output<'_>) -> anyhow::Result<()> {
    let position = &record.position;
    let value = Decoded::of(registry, record.value.as_deref()).await.with_context(|| format!("{position:?}"))?;
    let time = record.timestamp.map(|millis| Timestamp::from_millis(millis).to_string());
    let key = text(record.key.as_deref());
    if as_json {
        let (encoding, headers) = (value.encoding(), headers_json(&record.headers));
        return Ok(out.json(&json!({
            "topic": position.topic, "partition": position.partition, "offset": position.offset, "timestamp": time,
            "key": key, "headers": headers, "encoding": encoding, "value": value.into_json(),
        }))?);
    }
    let (time, key) = (time.unwrap_or_default(), key.unwrap_or_else(|| "(no key)".to_owned()));
    let headers: Vec<String> =
        record.headers.iter().map(|(name, value)| format!("{name}={}", text(value.as_deref()).unwrap_or_default())).collect();
    out.line(format_args!("{}:{}  {time}  {key}  {value}", position.partition, position.offset))?;
    if !headers.is_empty() {
        out.line(format_args!("    {}", headers.join(" ")))?;
    }
    Ok(())
}
