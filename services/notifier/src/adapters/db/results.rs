//! What became of commands, noted in the transaction of the batch it came in.

use std::collections::{BTreeMap, HashSet};

use events::{CommandResult, Event as _, Timestamp};
use sqlx::{Postgres, Transaction};
use telemetry::metrics;
use uuid::Uuid;

use super::rows::{Symbol, array, date};
use crate::domain::course::CommandState;
use crate::domain::symbol;

/// A command as it is known to stand.
struct Standing {
    command_id: Uuid,
    tenant: String,
    state: CommandState,
    attempt: i32,
    detail: String,
    breaker: Option<String>,
    updated_at: Timestamp,
}

/// Adds the results to the histories of their commands and moves these on. Returns the ids of those that ended a command:
/// only they are news. A result of a command that is not here (any more) is counted and passed over.
pub(super) async fn note(transaction: &mut Transaction<'_, Postgres>, results: &[&CommandResult]) -> Result<HashSet<Uuid>, sqlx::Error> {
    if results.is_empty() {
        return Ok(HashSet::new());
    }
    // In one order, so that two batches wait for each other instead of locking each other out.
    let standing = sqlx::query_as!(
        Standing,
        r#"SELECT command_id, tenant, state AS "state: Symbol<CommandState>", attempt, detail, breaker, updated_at FROM device_command
           WHERE command_id = ANY($1) ORDER BY command_id FOR UPDATE"#,
        &array(results, |result| result.command_id)
    )
    .fetch_all(&mut **transaction)
    .await?;
    let mut standing: BTreeMap<Uuid, Standing> = standing.into_iter().map(|command| (command.command_id, command)).collect();
    let (mut known, mut ended, mut changed) = (Vec::new(), HashSet::new(), HashSet::new());
    for result in results.iter().copied() {
        let Some(command) = standing.get_mut(&result.command_id).filter(|command| command.tenant == result.tenant) else {
            metrics::counter("fieldwatch_command_results_unknown", &[]).inc();
            continue;
        };
        known.push(result);
        let Some(state) = command.state.after(result.outcome) else { continue };
        *command = Standing {
            command_id: command.command_id,
            tenant: result.tenant.clone(),
            state,
            attempt: result.attempt.max(command.attempt),
            detail: result.detail.clone(),
            breaker: Some(symbol(&result.breaker)),
            updated_at: result.at.max(command.updated_at),
        };
        changed.insert(command.command_id);
        if state.is_final() {
            ended.insert(result.event_id());
        }
    }
    append(transaction, &known).await?;
    let changed: Vec<&Standing> = standing.values().filter(|command| changed.contains(&command.command_id)).collect();
    save(transaction, &changed).await?;
    Ok(ended)
}

async fn append(transaction: &mut Transaction<'_, Postgres>, results: &[&CommandResult]) -> Result<(), sqlx::Error> {
    if results.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO device_command_result (command_id, result_id, outcome, attempt, detail, breaker, at)
         SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::int[], $5::text[], $6::text[], $7::timestamptz[])
         ON CONFLICT DO NOTHING",
        &array(results, |result| result.command_id),
        &array(results, CommandResult::event_id),
        &array(results, |result| symbol(&result.outcome)),
        &array(results, |result| result.attempt),
        &array(results, |result| result.detail.as_str()) as &[&str],
        &array(results, |result| symbol(&result.breaker)),
        &array(results, |result| date(result.at)),
    )
    .execute(&mut **transaction)
    .await
    .map(drop)
}

async fn save(transaction: &mut Transaction<'_, Postgres>, commands: &[&Standing]) -> Result<(), sqlx::Error> {
    if commands.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE device_command c SET state = d.state, attempt = d.attempt, detail = d.detail, breaker = d.breaker, updated_at = d.updated_at
         FROM unnest($1::uuid[], $2::text[], $3::int[], $4::text[], $5::text[], $6::timestamptz[])
             AS d (command_id, state, attempt, detail, breaker, updated_at)
         WHERE c.command_id = d.command_id",
        &array(commands, |command| command.command_id),
        &array(commands, |command| symbol(&command.state)),
        &array(commands, |command| command.attempt),
        &array(commands, |command| command.detail.as_str()) as &[&str],
        &array(commands, |command| command.breaker.as_deref()) as &[Option<&str>],
        &array(commands, |command| date(command.updated_at)),
    )
    .execute(&mut **transaction)
    .await
    .map(drop)
}
