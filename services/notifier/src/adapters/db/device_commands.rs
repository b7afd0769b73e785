//! Commands to devices: issued with their outbox rows, listed with what became of them.
//!
//! Guarantees: a command's row and its outbox row are there together or not at all, and once for an id, whoever issues it
//! again.

use std::time::Duration;

use events::trace::TraceContext;
use events::{BreakerState, Command, CommandOutcome, Timestamp};
use outbox::Slots;
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Postgres, QueryBuilder, Row as _, Transaction};
use stream::{Cause as Origin, Failure, Poison};
use time::OffsetDateTime;
use uuid::Uuid;

use super::rows::{Symbol, array, checked, date, stored};
use super::{Store, classify, list};
use crate::adapters::command_document::{CommandDocument, ResultDocument};
use crate::adapters::document::Rfc3339;
use crate::adapters::outgoing::Outgoing;
use crate::domain::course::CommandState;
use crate::domain::scene::Running;
use crate::domain::symbol;

/// Commands on their way to a row, with their members' places where they are part of a scene.
pub(super) struct Issued<'a> {
    pub command: &'a Command,
    pub origin: &'a Origin,
    pub trace: Option<&'a TraceContext>,
    pub member: Option<i32>,
}

/// Which commands someone wants to see. Empty parts do not filter.
#[derive(Clone, Debug, Default)]
pub struct CommandFilter {
    pub device_ids: Vec<String>,
    pub states: Vec<CommandState>,
    pub scene_id: Option<Uuid>,
}

impl From<Symbol<CommandState>> for CommandState {
    fn from(symbol: Symbol<Self>) -> Self {
        symbol.0
    }
}

impl From<Symbol<CommandOutcome>> for CommandOutcome {
    fn from(symbol: Symbol<Self>) -> Self {
        symbol.0
    }
}

impl From<Symbol<BreakerState>> for BreakerState {
    fn from(symbol: Symbol<Self>) -> Self {
        symbol.0
    }
}

/// A row of `device_command`, for a statement that is put together while it runs.
struct CommandRow(CommandDocument);

impl FromRow<'_, PgRow> for CommandRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let time = |column| row.try_get::<OffsetDateTime, _>(column).map(Rfc3339::from);
        let state = row.try_get::<Symbol<CommandState>, _>("state")?.0;
        Ok(Self(CommandDocument {
            command_id: row.try_get("command_id")?,
            tenant: row.try_get("tenant")?,
            device_id: row.try_get("device_id")?,
            name: row.try_get("name")?,
            arguments: row.try_get("arguments")?,
            desired_state: row.try_get("desired_state")?,
            issued_by: row.try_get("issued_by")?,
            issued_at: time("issued_at")?,
            expires_at: time("expires_at")?,
            scene_id: row.try_get("scene_id")?,
            state,
            is_final: state.is_final(),
            attempt: row.try_get("attempt")?,
            detail: row.try_get("detail")?,
            breaker: row.try_get::<Option<Symbol<BreakerState>>, _>("breaker")?.map(|symbol| symbol.0),
            updated_at: time("updated_at")?,
            history: None,
        }))
    }
}

const COLUMNS: &str = "SELECT command_id, tenant, device_id, name, arguments, desired_state, issued_by, issued_at, expires_at, scene_id,
                              state, attempt, detail, breaker, updated_at FROM device_command WHERE tenant = ";

impl Store {
    /// A command of a tenant, with every result there was.
    pub async fn device_command(&self, tenant: &str, command_id: Uuid) -> Result<Option<CommandDocument>, sqlx::Error> {
        let mut query = QueryBuilder::new(COLUMNS);
        query.push_bind(tenant).push(" AND command_id = ").push_bind(command_id);
        let found: Option<CommandRow> = query.build_query_as().fetch_optional(&self.pool).await?;
        let Some(CommandRow(mut document)) = found else { return Ok(None) };
        let history = sqlx::query_as!(
            ResultDocument,
            r#"SELECT outcome AS "outcome: Symbol<CommandOutcome>", attempt, detail, breaker AS "breaker: Symbol<BreakerState>", at
               FROM device_command_result WHERE command_id = $1 ORDER BY at, attempt, outcome = 'ACCEPTED' DESC"#,
            command_id
        );
        document.history = Some(history.fetch_all(&self.pool).await?);
        Ok(Some(document))
    }

    /// Up to `limit` commands of a tenant after (`issued_at`, id), latest first.
    pub async fn device_commands(
        &self,
        tenant: &str,
        filter: &CommandFilter,
        after: Option<(Timestamp, Uuid)>,
        limit: i64,
    ) -> Result<Vec<CommandDocument>, sqlx::Error> {
        let mut query = QueryBuilder::new(COLUMNS);
        query.push_bind(tenant);
        list::push_any(&mut query, "device_id", filter.device_ids.clone());
        list::push_any(&mut query, "state", filter.states.iter().map(symbol).collect());
        if let Some(scene_id) = filter.scene_id {
            query.push(" AND scene_id = ").push_bind(scene_id);
        }
        if let Some((issued_at, command_id)) = after {
            query.push(" AND (issued_at, command_id) < (").push_bind(date(issued_at)).push(", ").push_bind(command_id).push(")");
        }
        query.push(" ORDER BY issued_at DESC, command_id DESC LIMIT ").push_bind(limit);
        let rows: Vec<CommandRow> = query.build_query_as().fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }

    /// The commands of a scene's run, in the order of its members.
    pub(super) async fn members(&self, tenant: &str, scene_id: Uuid) -> Result<Vec<CommandDocument>, sqlx::Error> {
        let mut query = QueryBuilder::new(COLUMNS);
        query.push_bind(tenant).push(" AND scene_id = ").push_bind(scene_id).push(" ORDER BY member");
        let rows: Vec<CommandRow> = query.build_query_as().fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }

    /// Forgets commands and runs of scenes that are older than that, a bounded number at a time.
    pub async fn forget_device_commands(&self, age: Duration) -> Result<u64, sqlx::Error> {
        let forget = sqlx::query!(
            "DELETE FROM device_command WHERE command_id = ANY (ARRAY(SELECT command_id FROM device_command
             WHERE issued_at < now() - make_interval(secs => $1) ORDER BY issued_at LIMIT 10000))",
            age.as_secs_f64()
        );
        let forgotten = forget.execute(&self.pool).await?.rows_affected();
        sqlx::query!(
            "DELETE FROM scene_run WHERE scene_id = ANY (ARRAY(SELECT scene_id FROM scene_run r
             WHERE issued_at < now() - make_interval(secs => $1)
               AND NOT EXISTS (SELECT FROM device_command c WHERE c.scene_id = r.scene_id) ORDER BY issued_at LIMIT 10000))",
            age.as_secs_f64()
        )
        .execute(&self.pool)
        .await?;
        Ok(forgotten)
    }
}

/// Adds those of the commands and runs that are not there yet, with their outbox rows; returns how many
/// commands, and where the rows lie. Call it late, and once: it takes the locks of the outbox.
pub(super) async fn issue(
    transaction: &mut Transaction<'_, Postgres>,
    commands: &[Issued<'_>],
    runs: &[(&Running, &Origin, Option<&TraceContext>)],
    outgoing: &Outgoing,
) -> Result<(usize, Slots), Failure> {
    let mut events = Vec::new();
    let mut all: Vec<Issued<'_>> = Vec::with_capacity(commands.len());
    all.extend(commands.iter().map(|issued| Issued { ..*issued }));
    for (running, origin, trace) in runs {
        let run = &running.run;
        let new = sqlx::query!(
            "INSERT INTO scene_run (scene_id, tenant, name, issued_by, issued_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
            run.scene_id,
            run.tenant,
            run.name,
            run.issued_by,
            date(run.issued_at)
        );
        if new.execute(&mut **transaction).await.map_err(|error| classify(&error))?.rows_affected() == 0 {
            continue;
        }
        events.push(outgoing.event(run, origin, trace.cloned())?);
        let members = (0..).zip(&running.commands);
        all.extend(members.map(|(member, command)| Issued { command, origin, trace: *trace, member: Some(member) }));
    }
    let new = add(transaction, &all).await.map_err(|error| classify(&error))?;
    for issued in all.iter().filter(|issued| new.contains(&issued.command.command_id)) {
        events.push(outgoing.event(issued.command, issued.origin, issued.trace.cloned())?);
    }
    let slots = outbox::enqueue(transaction, &events).await.map_err(|error| classify(&error))?;
    Ok((new.len(), slots))
}

async fn add(transaction: &mut Transaction<'_, Postgres>, issued: &[Issued<'_>]) -> Result<Vec<Uuid>, sqlx::Error> {
    let rows: Vec<&Issued<'_>> = issued.iter().collect();
    let json = |text: &str| serde_json::from_str::<Value>(text).map_err(|error| sqlx::Error::Encode(error.into()));
    let desired = |row: &Issued<'_>| row.command.desired_state.as_deref().map(json).transpose();
    sqlx::query_scalar!(
        "INSERT INTO device_command (command_id, tenant, device_id, name, arguments, desired_state, issued_by, issued_at, expires_at,
             scene_id, member, updated_at)
         SELECT *, issued_at FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::jsonb[], $6::jsonb[], $7::text[],
             $8::timestamptz[], $9::timestamptz[], $10::uuid[], $11::int[])
             AS c (command_id, tenant, device_id, name, arguments, desired_state, issued_by, issued_at, expires_at, scene_id, member)
         ON CONFLICT DO NOTHING RETURNING command_id",
        &array(&rows, |row| row.command.command_id),
        &array(&rows, |row| row.command.tenant.as_str()) as &[&str],
        &array(&rows, |row| row.command.device_id.as_str()) as &[&str],
        &array(&rows, |row| row.command.name.as_str()) as &[&str],
        &checked(&rows, |row| json(&row.command.arguments))?,
        &checked(&rows, desired)? as &[Option<Value>],
        &array(&rows, |row| row.command.issued_by.as_str()) as &[&str],
        &checked(&rows, |row| stored(row.command.issued_at))?,
        &checked(&rows, |row| stored(row.command.expires_at))?,
        &array(&rows, |row| row.command.scene_id) as &[Option<Uuid>],
        &array(&rows, |row| row.member) as &[Option<i32>],
    )
    .fetch_all(&mut **transaction)
    .await
}

/// Refuses what no row can hold, before it spoils a batch.
pub fn check(result: &events::CommandResult) -> Result<(), Poison> {
    let texts = [&result.tenant, &result.device_id, &result.name, &result.detail];
    if texts.into_iter().any(|text| text.contains('\0')) {
        return Err(Poison::new("unstorable", "a text holds the character NUL"));
    }
    if result.at.as_micros() < 0 || result.at.to_datetime().is_none() {
        return Err(Poison::new("unstorable", format!("{} is not a time since 1970", result.at)));
    }
    Ok(())
}
