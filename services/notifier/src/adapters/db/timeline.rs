//! What happened to a device: how its connection changed, and every version of its notifications.

use std::time::Duration;

use events::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Postgres, Row, Transaction};
use uuid::Uuid;

use super::Store;
use super::rows::{change, date, severity, state, symbol, timestamp};
use crate::adapters::document::Rfc3339;
use crate::adapters::timeline_document::TimelineDocument;
use crate::domain::signal::Signal;
use crate::domain::symbol as text_of;

/// A place in a timeline: a time, and what tells apart what happened at the same time.
pub type Place = (Timestamp, String);

/// A page of a timeline, latest first.
pub struct Timeline {
    pub entries: Vec<TimelineDocument>,
    /// Where it ended, if more follows.
    pub next: Option<Place>,
}

struct EntryRow {
    entry: TimelineDocument,
    place: Place,
}

impl FromRow<'_, PgRow> for EntryRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let at = timestamp(row, "at")?;
        let entry = match row.try_get::<Option<Uuid>, _>("notification_id")? {
            None => TimelineDocument::Status { at: Rfc3339(at), state: symbol(row, "state")?, reason: row.try_get("reason")? },
            Some(notification_id) => TimelineDocument::Notification {
                at: Rfc3339(at),
                notification_id: notification_id.to_string(),
                version: row.try_get("version")?,
                kind: row.try_get("kind")?,
                state: state(row)?,
                severity: severity(row)?,
                title: row.try_get("title")?,
                change: change(row)?,
            },
        };
        Ok(Self { entry, place: (at, row.try_get("place")?) })
    }
}

const READ: &str = r#"
    SELECT * FROM (
        SELECT e.at, (n.notification_id || '/' || lpad(e.version::text, 19, '0')) COLLATE "C" AS place, n.notification_id, e.version,
               n.kind, e.state, e.severity, n.title, e.action, e.actor, e.reason, e.trace_id
        FROM notification n JOIN notification_event e USING (notification_id)
        WHERE n.tenant = $1 AND n.device_id = $2
        UNION ALL
        SELECT changed_at, state COLLATE "C", NULL, NULL, NULL, state, NULL, NULL, NULL, NULL, reason, NULL
        FROM device_status_change WHERE tenant = $1 AND device_id = $2
    ) AS entry
    WHERE $3::timestamptz IS NULL OR (at, place) < ($3, $4)
    ORDER BY at DESC, place DESC LIMIT $5"#;

impl Store {
    /// Up to `limit` entries of a device's timeline after `after`, latest first.
    pub async fn timeline(&self, tenant: &str, device_id: &str, after: Option<Place>, limit: usize) -> Result<Timeline, sqlx::Error> {
        let (at, place) = after.unzip();
        let mut rows: Vec<EntryRow> = sqlx::query_as(READ)
            .bind(tenant)
            .bind(device_id)
            .bind(at.map(date))
            .bind(place)
            // One more than asked for tells whether there are more.
            .bind(limit as i64 + 1)
            .fetch_all(&self.pool)
            .await?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|last| last.place.clone());
        Ok(Timeline { entries: rows.into_iter().map(|row| row.entry).collect(), next })
    }

    /// Unresolved notifications of those devices of a tenant that have any.
    pub async fn unresolved_of(&self, tenant: &str, device_ids: &[&str]) -> Result<Vec<(String, i64)>, sqlx::Error> {
        sqlx::query_as(
            "SELECT device_id, count(*) FROM notification
             WHERE tenant = $1 AND device_id = ANY($2) AND state <> 'RESOLVED' GROUP BY device_id",
        )
        .bind(tenant)
        .bind(device_ids)
        .fetch_all(&self.pool)
        .await
    }

    /// Forgets the oldest changes of devices' connections that are older than `age`.
    pub async fn forget_status_changes(&self, age: Duration) -> Result<u64, sqlx::Error> {
        let forget = sqlx::query(
            "DELETE FROM device_status_change WHERE ctid = ANY (ARRAY(
                 SELECT ctid FROM device_status_change
                 WHERE changed_at < now() - make_interval(secs => $1) ORDER BY changed_at LIMIT 10000))",
        );
        Ok(forget.bind(age.as_secs_f64()).execute(&self.pool).await?.rows_affected())
    }
}

const ADD: &str = "
    INSERT INTO device_status_change (tenant, device_id, changed_at, state, reason)
    SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::text[]) ORDER BY 1, 2, 3, 4
    ON CONFLICT DO NOTHING";

/// Notes those of the signals that are changes of a device's connection; what comes again is there already.
pub(super) async fn note<'a>(
    transaction: &mut Transaction<'_, Postgres>,
    signals: impl Iterator<Item = &'a Signal>,
) -> Result<(), sqlx::Error> {
    let changes: Vec<_> = signals.filter_map(|signal| Some((signal, signal.device_id.as_deref()?, signal.device_state?))).collect();
    if changes.is_empty() {
        return Ok(());
    }
    sqlx::query(ADD)
        .bind(changes.iter().map(|(signal, ..)| signal.tenant.as_str()).collect::<Vec<_>>())
        .bind(changes.iter().map(|(_, device_id, _)| *device_id).collect::<Vec<_>>())
        .bind(changes.iter().map(|(signal, ..)| date(signal.changed_at)).collect::<Vec<_>>())
        .bind(changes.iter().map(|(.., state)| text_of(state)).collect::<Vec<_>>())
        .bind(changes.iter().map(|(signal, ..)| signal.reason.as_deref()).collect::<Vec<_>>())
        .execute(&mut **transaction)
        .await
        .map(drop)
}
