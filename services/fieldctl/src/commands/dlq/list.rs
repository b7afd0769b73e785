use clap::Args;
use serde_json::{Value, json};
use stream::{Record, dlq};

use super::letters::{Selection, beginning, letter, number, position};
use crate::SUCCESS;
use crate::adapters::log_reader::LogReader;
use crate::adapters::value::{headers_json, text};
use crate::context::Context;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    selection: Selection,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// One JSON object a letter
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: &Arguments, context: &mut Context<'_>) -> anyhow::Result<u8> {
    let (kafka, filter) = (&context.config.kafka, arguments.selection.filter()?);
    let mut reader = LogReader::open(kafka, &arguments.selection.topic(kafka), &beginning(&filter))?;
    let limit = arguments.limit.unwrap_or(usize::MAX);
    let (mut rows, mut found) = (Vec::new(), 0);
    while found < limit
        && let Some(record) = reader.next().await?
    {
        if !filter.matches(&letter(&record)) {
            continue;
        }
        found += 1;
        if arguments.json {
            context.out.json(&summary(&record))?;
        } else {
            rows.push(row(&record));
        }
    }
    if !arguments.json {
        context.out.table(["POSITION", "FAILED AT", "REASON", "REDRIVES", "KEY", "CAME FROM", "DETAIL"], &rows)?;
    }
    Ok(SUCCESS)
}

/// What is known of a letter, without its value.
pub(crate) fn summary(record: &Record) -> Value {
    let known = letter(record);
    json!({
        "service": record.header(dlq::SERVICE),
        "position": position(record),
        "partition": record.position.partition,
        "offset": record.position.offset,
        "key": text(record.key.as_deref()),
        "class": record.header(dlq::CLASS),
        "reason": known.reason,
        "detail": record.header(dlq::DETAIL),
        "failed_at": known.failed_at.map(|at| at.to_string()),
        "attempts": number::<u32>(record, dlq::ATTEMPTS),
        "redrives": known.redrives,
        "truncated": known.truncated,
        "origin": {
            "topic": record.header(dlq::TOPIC),
            "partition": known.origin_partition,
            "offset": number::<i64>(record, dlq::OFFSET),
        },
        "size": record.value.as_ref().map(Vec::len),
        "headers": headers_json(&record.headers),
    })
}

fn row(record: &Record) -> [String; 7] {
    let known = letter(record);
    let at = |name: &str| record.header(name).unwrap_or("?").to_owned();
    let origin = match known.origin_partition {
        Some(partition) => format!("{} {partition}:{}", at(dlq::TOPIC), at(dlq::OFFSET)),
        None => record.header(MQTT_TOPIC).map_or_else(|| "?".to_owned(), |topic| format!("mqtt {topic}")),
    };
    [
        position(record),
        known.failed_at.map_or_else(|| "?".to_owned(), |at| at.to_string()),
        known.reason,
        known.redrives.to_string(),
        text(record.key.as_deref()).unwrap_or_else(|| "-".to_owned()),
        origin,
        record.header(dlq::DETAIL).unwrap_or_default().replace('\n', " "),
    ]
}

/// A letter of the bridge names this instead of a topic of ours.
const MQTT_TOPIC: &str = "mqtt-topic";
