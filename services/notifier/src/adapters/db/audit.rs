//! The audit log: one row per version, and with it the memory of which events had their effect.

use std::collections::HashSet;

use events::Notification;
use serde::Serialize;
use sqlx::types::Json;
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::Store;
use super::rows::EventRow;
use crate::adapters::document::{EventDocument, Rfc3339};

/// A row to be.
#[derive(Serialize)]
pub(super) struct AuditDocument<'a> {
    notification_id: &'a str,
    version: i64,
    at: Rfc3339,
    state: events::NotificationState,
    severity: events::Severity,
    occurrences: i64,
    action: &'a str,
    actor: &'a str,
    reason: Option<&'a str>,
    trace_id: Option<&'a str>,
    source_event_id: &'a str,
    snoozed_until: Option<Rfc3339>,
}

impl<'a> AuditDocument<'a> {
    fn of(version: &'a Notification) -> Self {
        Self {
            notification_id: &version.notification_id,
            version: version.version,
            at: Rfc3339(version.updated_at),
            state: version.state,
            severity: version.severity,
            occurrences: version.occurrences,
            action: &version.change.action,
            actor: &version.change.actor,
            reason: version.change.reason.as_deref(),
            trace_id: version.change.trace_id.as_deref(),
            source_event_id: &version.source_event_id,
            snoozed_until: version.snoozed_until.map(Rfc3339),
        }
    }
}

pub(super) fn documents(versions: &[Notification]) -> Vec<AuditDocument<'_>> {
    versions.iter().map(AuditDocument::of).collect()
}

pub(super) async fn append(transaction: &mut Transaction<'_, Postgres>, versions: &[Notification]) -> Result<(), sqlx::Error> {
    let documents = documents(versions);
    sqlx::query("INSERT INTO notification_event SELECT * FROM jsonb_populate_recordset(NULL::notification_event, $1)")
        .bind(Json(documents))
        .execute(&mut **transaction)
        .await
        .map(drop)
}

/// Which of these events have had their effect.
pub(super) async fn known(transaction: &mut Transaction<'_, Postgres>, ids: &[Uuid]) -> Result<HashSet<Uuid>, sqlx::Error> {
    let known: Vec<Uuid> = sqlx::query_scalar("SELECT source_event_id FROM notification_event WHERE source_event_id = ANY($1)")
        .bind(ids)
        .fetch_all(&mut **transaction)
        .await?;
    Ok(known.into_iter().collect())
}

impl Store {
    /// Up to `limit` versions after `after`, oldest first.
    pub async fn audit(&self, notification_id: Uuid, after: i64, limit: i64) -> Result<Vec<EventDocument>, sqlx::Error> {
        let rows: Vec<EventRow> =
            sqlx::query_as("SELECT * FROM notification_event WHERE notification_id = $1 AND version > $2 ORDER BY version LIMIT $3")
                .bind(notification_id)
                .bind(after)
                .bind(limit)
                .fetch_all(&self.pool)
                .await?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }
}
