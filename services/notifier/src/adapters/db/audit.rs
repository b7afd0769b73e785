//! The audit log: one row per version, and with it the memory of which events had their effect.

use std::collections::HashSet;

use events::Notification;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::Store;
use super::rows::{EventRow, array, checked, stored, uuid};
use crate::adapters::document::EventDocument;
use crate::domain::symbol as text_of;

/// Puts versions into a table of the kind.
macro_rules! append_to {
    ($table:literal) => {
        concat!(
            "INSERT INTO ",
            $table,
            " (notification_id, version, at, state, severity, occurrences, action, actor, reason, trace_id, source_event_id, snoozed_until)
            SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[],
                $9::text[], $10::text[], $11::uuid[], $12::timestamptz[])"
        )
    };
}
pub(super) use append_to;

pub(super) async fn append(transaction: &mut Transaction<'_, Postgres>, versions: &[Notification]) -> Result<(), sqlx::Error> {
    appending(append_to!("notification_event"), versions)?.execute(&mut **transaction).await.map(drop)
}

/// A statement of [`append_to`] with its versions.
pub(super) fn appending<'a>(
    statement: &'static str,
    versions: &'a [Notification],
) -> Result<Query<'a, Postgres, PgArguments>, sqlx::Error> {
    let v: &[&Notification] = &versions.iter().collect::<Vec<_>>();
    Ok(sqlx::query(statement)
        .bind(checked(v, |v| uuid(&v.notification_id))?)
        .bind(array(v, |v| v.version))
        .bind(checked(v, |v| stored(v.updated_at))?)
        .bind(array(v, |v| text_of(&v.state)))
        .bind(array(v, |v| text_of(&v.severity)))
        .bind(array(v, |v| v.occurrences))
        .bind(array(v, |v| v.change.action.as_str()))
        .bind(array(v, |v| v.change.actor.as_str()))
        .bind(array(v, |v| v.change.reason.as_deref()))
        .bind(array(v, |v| v.change.trace_id.as_deref()))
        .bind(checked(v, |v| uuid(&v.source_event_id))?)
        .bind(checked(v, |v| v.snoozed_until.map(stored).transpose())?))
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
