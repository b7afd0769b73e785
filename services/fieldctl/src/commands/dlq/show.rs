use clap::Args;
use serde_json::json;
use stream::Registry;

use super::letters::{parse_position, position};
use super::list::summary;
use crate::SUCCESS;
use crate::adapters::log_reader::LogReader;
use crate::adapters::value::{Decoded, text};
use crate::context::Context;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Service (or stage) whose dead letter it is
    #[arg(long, value_name = "NAME")]
    service: String,
    /// Where it stands, as `dlq list` says
    #[arg(value_name = "PARTITION:OFFSET", value_parser = parse_position)]
    position: (i32, i64),
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: &Arguments, context: &mut Context<'_>) -> anyhow::Result<u8> {
    let topic = context.config.kafka.prefixed(&events::topics::dlq(&arguments.service));
    let (partition, offset) = arguments.position;
    let record = LogReader::one(&context.config.kafka, &topic, partition, offset).await?;
    let value = Decoded::of(&Registry::connect(&context.config.registry)?, record.value.as_deref()).await?;
    if arguments.json {
        let mut shown = summary(&record);
        shown["encoding"] = json!(value.encoding());
        shown["value"] = value.into_json();
        context.out.json(&shown)?;
        return Ok(SUCCESS);
    }
    let out = &mut context.out;
    out.line(format_args!("{topic} {}", position(&record)))?;
    out.line(format_args!("key: {}", text(record.key.as_deref()).unwrap_or_else(|| "(none)".to_owned())))?;
    for (name, value) in &record.headers {
        out.line(format_args!("{name}: {}", text(value.as_deref()).unwrap_or_else(|| "(none)".to_owned())))?;
    }
    out.line(format_args!("value ({}):", value.encoding()))?;
    match value {
        Decoded::Avro(json) => out.line(serde_json::to_string_pretty(&json)?)?,
        other => out.line(other)?,
    }
    Ok(SUCCESS)
}
