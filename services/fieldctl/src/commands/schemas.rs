//! Event schemas in the registry: `FULL_TRANSITIVE`, one subject a topic. Nothing is registered unless everything can be.

mod source;

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use serde_json::Value;
use stream::Registry;
use stream::registry::subject;

use crate::context::Context;
use crate::domain::schema_difference::{Difference, differences};
use crate::{FAILURE, SUCCESS};
use source::Offered;

/// Producers and consumers may be upgraded and rolled back in any order.
const COMPATIBILITY: &str = "FULL_TRANSITIVE";

/// A registry that was just started may be slow to answer.
const PATIENCE: Duration = Duration::from_secs(15);

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Register every schema; exits 1 and registers none when one is not compatible with what is registered
    Apply(From),
    /// Say whether every schema could be registered
    Check(From),
}

#[derive(clap::Args)]
pub(crate) struct From {
    /// Folder of .avsc files, with its own topics.yaml or the built-in one [default: the built-in schemas]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(crate) async fn run(command: &Command, context: &mut Context<'_>) -> anyhow::Result<u8> {
    let (Command::Apply(from) | Command::Check(from)) = command;
    let offered = source::schemas(from.dir.as_deref())?;
    let registry = Registry::connect(&context.config.registry)?.patient(PATIENCE);
    let subjects: Vec<String> = offered.iter().map(|schema| subject(&context.config.kafka.prefixed(&schema.topic))).collect();
    let applies = matches!(command, Command::Apply(_));
    let mut refused = 0;
    for (schema, subject) in offered.iter().zip(&subjects) {
        if applies {
            registry.set_compatibility(subject, COMPATIBILITY).await?;
        }
        let reasons = registry.check(subject, &schema.json).await?;
        if !reasons.is_empty() {
            refused += 1;
            report(&registry, schema, subject, &reasons, applies, context).await?;
        }
    }
    if refused > 0 {
        context.out.line(format_args!("{refused} of {} schemas are refused; none was registered", offered.len()))?;
        return Ok(FAILURE);
    }
    for (schema, subject) in offered.iter().zip(&subjects) {
        if applies {
            let id = registry.register(subject, &schema.json).await?;
            context.out.line(format_args!("{subject}: {} has id {}", schema.file, id.0))?;
        } else {
            context.out.line(format_args!("{subject}: {} fits", schema.file))?;
        }
    }
    Ok(SUCCESS)
}

/// Says which fields it is about; of a registry that gives no reasons when it is asked, offering the schema gets them.
async fn report(
    registry: &Registry,
    schema: &Offered,
    subject: &str,
    reasons: &[String],
    applies: bool,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    context.out.line(format_args!("{subject}: {} is not compatible", schema.file))?;
    for difference in against_registered(registry, schema, subject).await? {
        let Difference { field, problem } = difference;
        let field = if field.is_empty() { "the schema".to_owned() } else { format!("field {field}") };
        context.out.line(format_args!("  {field} {problem}"))?;
    }
    let said = if applies { registry.register(subject, &schema.json).await.err().map(|refusal| refusal.to_string()) } else { None };
    for line in said.as_slice().iter().chain(reasons.iter().filter(|_| said.is_none())) {
        context.out.line(format_args!("  registry: {line}"))?;
    }
    Ok(())
}

/// What differs from the newest registered version it is not compatible with.
async fn against_registered(registry: &Registry, schema: &Offered, subject: &str) -> anyhow::Result<Vec<Difference>> {
    let new: Value = serde_json::from_str(&schema.json)?;
    for registered in registry.versions(subject).await?.iter().rev() {
        let found = differences(&serde_json::from_str(registered)?, &new);
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}
