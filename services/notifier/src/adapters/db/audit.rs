//! The audit log: one row per version, and with it the memory of which events had their effect.

use std::collections::HashSet;

use events::{Change, Notification, NotificationState, Severity};
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{Postgres, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

use super::Store;
use super::rows::{Symbol, array, checked, stored, uuid};
use crate::adapters::document::{EventDocument, Rfc3339};
use crate::domain::symbol as text_of;

pub(super) async fn append(transaction: &mut Transaction<'_, Postgres>, versions: &[Notification]) -> Result<(), sqlx::Error> {
    appending(versions)?.execute(&mut **transaction).await.map(drop)
}

pub(super) fn appending(versions: &[Notification]) -> Result<Query<'static, Postgres, PgArguments>, sqlx::Error> {
    let v: &[&Notification] = &versions.iter().collect::<Vec<_>>();
    Ok(sqlx::query!(
        "INSERT INTO notification_event
             (notification_id, version, at, state, severity, occurrences, action, actor, reason, trace_id, source_event_id, snoozed_until)
         SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[],
             $9::text[], $10::text[], $11::uuid[], $12::timestamptz[])",
        &checked(v, |v| uuid(&v.notification_id))?,
        &array(v, |v| v.version),
        &checked(v, |v| stored(v.updated_at))?,
        &array(v, |v| text_of(&v.state)),
        &array(v, |v| text_of(&v.severity)),
        &array(v, |v| v.occurrences),
        &array(v, |v| v.change.action.as_str()) as &[&str],
        &array(v, |v| v.change.actor.as_str()) as &[&str],
        &array(v, |v| v.change.reason.as_deref()) as &[Option<&str>],
        &array(v, |v| v.change.trace_id.as_deref()) as &[Option<&str>],
        &checked(v, |v| uuid(&v.source_event_id))?,
        &checked(v, |v| v.snoozed_until.map(stored).transpose())? as &[Option<OffsetDateTime>],
    ))
}

/// Which of these events have had their effect.
pub(super) async fn known(transaction: &mut Transaction<'_, Postgres>, ids: &[Uuid]) -> Result<HashSet<Uuid>, sqlx::Error> {
    let known = sqlx::query_scalar!("SELECT source_event_id FROM notification_event WHERE source_event_id = ANY($1)", ids)
        .fetch_all(&mut **transaction)
        .await?;
    Ok(known.into_iter().collect())
}

impl Store {
    /// Up to `limit` versions after `after`, oldest first.
    pub async fn audit(&self, notification_id: Uuid, after: i64, limit: i64) -> Result<Vec<EventDocument>, sqlx::Error> {
        sqlx::query!(
            r#"SELECT version, at, state AS "state: Symbol<NotificationState>", severity AS "severity: Symbol<Severity>", occurrences, action,
                      actor, reason, trace_id, source_event_id, snoozed_until
               FROM notification_event WHERE notification_id = $1 AND version > $2 ORDER BY version LIMIT $3"#,
            notification_id,
            after,
            limit
        )
        .map(|row| EventDocument {
            version: row.version,
            at: row.at.into(),
            state: row.state.0,
            severity: row.severity.0,
            occurrences: row.occurrences,
            change: Change { action: row.action, actor: row.actor, reason: row.reason, trace_id: row.trace_id },
            source_event_id: row.source_event_id.into(),
            snoozed_until: row.snoozed_until.map(Rfc3339::from),
        })
        .fetch_all(&self.pool)
        .await
    }
}
