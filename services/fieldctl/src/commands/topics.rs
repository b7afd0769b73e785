//! Topics as `schemas/topics.yaml` wants them. Partitions are fixed for a topic's life: a change is refused.

use anyhow::Context as _;
use clap::Subcommand;
use stream::admin::{Admin, Catalogue, Difference, Topic};

use super::rights;
use crate::context::{Context, wrong_usage};
use crate::{FAILURE, SUCCESS};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Create what is missing and set what is different; may be repeated
    Apply {
        /// Replicas of each new topic [default: the broker's default.replication.factor]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
        replication: Option<i32>,
    },
    /// Print what is different in the cluster; exits 1 when anything is
    Diff,
    /// Print who may do what, a line for each call of `kafka-acls --add`
    Rights,
    /// Delete every topic under the configured prefix
    #[command(hide = true)]
    Delete {
        /// Really delete them
        #[arg(long)]
        yes: bool,
    },
}

/// Lets the broker choose.
const BROKER_DEFAULT: i32 = -1;

pub(crate) async fn run(command: &Command, context: &mut Context<'_>) -> anyhow::Result<u8> {
    let catalogue = Catalogue::parse(events::topics::CATALOGUE)?;
    let wanted = catalogue.topics(&context.config.kafka);
    if let Command::Delete { yes } = command
        && (!yes || context.config.kafka.topic_prefix.is_empty())
    {
        return Err(wrong_usage("topics delete is for test prefixes: it needs kafka.topic_prefix and --yes"));
    }
    let (admin, brokers) = (Admin::connect(&context.config.kafka)?, context.config.kafka.brokers.clone());
    let done = match command {
        Command::Apply { replication } => apply(&admin, &wanted, replication.unwrap_or(BROKER_DEFAULT), context).await,
        Command::Diff => diff(&admin, &wanted, context).await,
        Command::Rights => rights(&catalogue, context),
        Command::Delete { .. } => delete(&admin, &wanted, context).await,
    };
    done.with_context(|| format!("Kafka at {brokers}"))
}

async fn apply(admin: &Admin, wanted: &[Topic], replication: i32, context: &mut Context<'_>) -> anyhow::Result<u8> {
    let changed = admin.apply(wanted, replication).await?;
    for difference in &changed {
        match difference {
            Difference::Missing { topic } => context.out.line(format_args!("{topic}: created"))?,
            Difference::Config { topic, key, wanted, found } => {
                context.out.line(format_args!("{topic}: {key} set to {wanted}, was {found}"))?;
            }
            Difference::Partitions { .. } => {}
        }
    }
    context.out.line(format_args!("{} topics are as they should be, {} changes", wanted.len(), changed.len()))?;
    Ok(SUCCESS)
}

async fn diff(admin: &Admin, wanted: &[Topic], context: &mut Context<'_>) -> anyhow::Result<u8> {
    let differences = admin.diff(wanted).await?;
    if differences.is_empty() {
        context.out.line(format_args!("{} topics are as they should be", wanted.len()))?;
        return Ok(SUCCESS);
    }
    let rows: Vec<[String; 4]> = differences.into_iter().map(row).collect();
    context.out.table(["TOPIC", "WHAT", "WANTED", "FOUND"], &rows)?;
    Ok(FAILURE)
}

fn rights(catalogue: &Catalogue, context: &mut Context<'_>) -> anyhow::Result<u8> {
    for user in rights::users(catalogue.declared(), &context.config.kafka) {
        for line in rights::as_arguments(&user) {
            context.out.line(line)?;
        }
    }
    Ok(SUCCESS)
}

fn row(difference: Difference) -> [String; 4] {
    match difference {
        Difference::Missing { topic } => [topic, "topic".into(), "present".into(), "missing".into()],
        Difference::Partitions { topic, wanted, found } => [topic, "partitions (fixed)".into(), wanted.to_string(), found.to_string()],
        Difference::Config { topic, key, wanted, found } => [topic, key, wanted, found],
    }
}

async fn delete(admin: &Admin, wanted: &[Topic], context: &mut Context<'_>) -> anyhow::Result<u8> {
    let names: Vec<String> = wanted.iter().map(|topic| topic.name.clone()).collect();
    admin.delete(&names).await?;
    context.out.line(format_args!("deleted {} topics", names.len()))?;
    Ok(SUCCESS)
}
