//! How far each service's group is behind on its inputs.
//!
//! An operator's retry topic is not among them: its position is a record in the operator's state, not an offset of the group.

use anyhow::Context as _;
use clap::Args;
use events::topics;
use serde_json::json;
use stream::admin::Admin;

use crate::SUCCESS;
use crate::context::Context;

/// Service and consumer group, and what it reads.
fn inputs() -> [(&'static str, Vec<String>); 8] {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    [
        ("mqtt-bridge", vec![topics::retry("mqtt-bridge")]),
        ("mqtt-bridge-commands", names(&[topics::OUTBOUND_COMMANDS])),
        ("temperature-alert", names(&[topics::READINGS])),
        ("anomaly-detector", names(&[topics::READINGS])),
        ("anomaly-detector-aggregates", names(&[topics::READINGS])),
        ("anomaly-detector-group", names(&[topics::AGGREGATES])),
        (
            "notifier",
            [
                names(&[topics::TEMPERATURE_ALERTS, topics::ANOMALIES, topics::DEVICE_STATUS, topics::COMMAND_RESULTS]),
                vec![topics::retry("notifier")],
            ]
            .concat(),
        ),
        ("device-commands", names(&[topics::COMMANDS])),
    ]
}

#[derive(Args)]
pub(crate) struct Arguments {
    /// One JSON object a service and topic, partitions included
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments, context: &mut Context<'_>) -> anyhow::Result<u8> {
    let admin = Admin::connect(&context.config.kafka)?;
    let mut rows = Vec::new();
    for (service, topics) in inputs() {
        for topic in topics {
            let partitions = tokio::task::block_in_place(|| admin.lag(service, &topic));
            let partitions = partitions.with_context(|| format!("Kafka at {}", context.config.kafka.brokers))?;
            let committed: i64 = partitions.values().map(|(committed, _)| committed).sum();
            let end: i64 = partitions.values().map(|(_, end)| end).sum();
            let lag = end - committed;
            if arguments.json {
                let partitions: Vec<_> = partitions
                    .iter()
                    .map(|(partition, (committed, end))| {
                        json!({"partition": partition, "committed": committed, "end": end, "lag": end - committed})
                    })
                    .collect();
                context.out.json(&json!({
                    "service": service, "topic": topic, "exists": !partitions.is_empty(),
                    "committed": committed, "end": end, "lag": lag, "partitions": partitions,
                }))?;
            } else if partitions.is_empty() {
                rows.push([service.to_owned(), topic, "-".into(), "-".into(), "no such topic".into()]);
            } else {
                rows.push([service.to_owned(), topic, committed.to_string(), end.to_string(), lag.to_string()]);
            }
        }
    }
    if !arguments.json {
        context.out.table(["SERVICE", "TOPIC", "COMMITTED", "END", "LAG"], &rows)?;
    }
    Ok(SUCCESS)
}
