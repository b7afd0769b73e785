//! What happened to a device: how its connection changed, and every version of its notifications.

use std::time::Duration;

use events::{Change, DeviceState, NotificationState, Severity, Timestamp};
use sqlx::{Postgres, Transaction};

use super::Store;
use super::rows::{Symbol, date};
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

impl Store {
    /// Up to `limit` entries of a device's timeline after `after`, latest first.
    pub async fn timeline(&self, tenant: &str, device_id: &str, after: Option<Place>, limit: usize) -> Result<Timeline, sqlx::Error> {
        let (at, place) = after.unzip();
        // Of a change of the connection, what only notifications have is empty, and not read.
        let rows = sqlx::query!(
            r#"SELECT at AS "at!", place AS "place!", notification_id, version AS "version!", kind AS "kind!",
                      state AS "state!: Symbol<NotificationState>", state AS "device_state!: Symbol<DeviceState>",
                      severity AS "severity!: Symbol<Severity>", title AS "title!", action AS "action!", actor AS "actor!", reason, trace_id
               FROM (
                   SELECT e.at, (n.notification_id || '/' || lpad(e.version::text, 19, '0')) COLLATE "C" AS place, n.notification_id,
                          e.version, n.kind, e.state, e.severity, n.title, e.action, e.actor, e.reason, e.trace_id
                   FROM notification n JOIN notification_event e USING (notification_id)
                   WHERE n.tenant = $1 AND n.device_id = $2
                   UNION ALL
                   SELECT changed_at, state COLLATE "C", NULL, 0, '', state, '', '', '', '', reason, NULL
                   FROM device_status_change WHERE tenant = $1 AND device_id = $2
               ) AS entry
               WHERE $3::timestamptz IS NULL OR (at, place) < ($3, $4)
               ORDER BY at DESC, place DESC LIMIT $5"#,
            tenant,
            device_id,
            at.map(date),
            place,
            // One more than asked for tells whether there are more.
            limit as i64 + 1
        );
        let entry = rows.map(|row| {
            let (at, place) = (row.at.into(), (row.at.into(), row.place));
            let entry = match row.notification_id {
                None => TimelineDocument::Status { at, state: row.device_state.0, reason: row.reason },
                Some(notification_id) => TimelineDocument::Notification {
                    at,
                    notification_id: notification_id.into(),
                    version: row.version,
                    kind: row.kind,
                    state: row.state.0,
                    severity: row.severity.0,
                    title: row.title,
                    change: Change { action: row.action, actor: row.actor, reason: row.reason, trace_id: row.trace_id },
                },
            };
            (entry, place)
        });
        let (mut entries, mut places): (Vec<TimelineDocument>, Vec<Place>) = entry.fetch_all(&self.pool).await?.into_iter().unzip();
        let more = entries.len() > limit;
        entries.truncate(limit);
        places.truncate(limit);
        Ok(Timeline { entries, next: places.pop().filter(|_| more) })
    }

    /// Unresolved notifications of those devices of a tenant that have any.
    pub async fn unresolved_of(&self, tenant: &str, device_ids: &[&str]) -> Result<Vec<(String, i64)>, sqlx::Error> {
        sqlx::query!(
            r#"SELECT device_id AS "device_id!", count(*) AS "count!" FROM notification
               WHERE tenant = $1 AND device_id = ANY($2) AND state <> 'RESOLVED' GROUP BY device_id"#,
            tenant,
            device_ids as &[&str]
        )
        .map(|row| (row.device_id, row.count))
        .fetch_all(&self.pool)
        .await
    }

    /// Forgets the oldest changes of devices' connections that are older than `age`.
    pub async fn forget_status_changes(&self, age: Duration) -> Result<u64, sqlx::Error> {
        let forget = sqlx::query!(
            "DELETE FROM device_status_change WHERE ctid = ANY (ARRAY(
                 SELECT ctid FROM device_status_change
                 WHERE changed_at < now() - make_interval(secs => $1) ORDER BY changed_at LIMIT 10000))",
            age.as_secs_f64()
        );
        Ok(forget.execute(&self.pool).await?.rows_affected())
    }
}

/// Notes those of the signals that are changes of a device's connection; what comes again is there already.
pub(super) async fn note<'a>(
    transaction: &mut Transaction<'_, Postgres>,
    signals: impl Iterator<Item = &'a Signal>,
) -> Result<(), sqlx::Error> {
    let changes: Vec<_> = signals.filter_map(|signal| Some((signal, signal.device_id.as_deref()?, signal.device_state?))).collect();
    if changes.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO device_status_change (tenant, device_id, changed_at, state, reason)
         SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::text[]) ORDER BY 1, 2, 3, 4
         ON CONFLICT DO NOTHING",
        &changes.iter().map(|(signal, ..)| signal.tenant.as_str()).collect::<Vec<_>>() as &[&str],
        &changes.iter().map(|(_, device_id, _)| *device_id).collect::<Vec<_>>() as &[&str],
        &changes.iter().map(|(signal, ..)| date(signal.changed_at)).collect::<Vec<_>>(),
        &changes.iter().map(|(.., state)| text_of(state)).collect::<Vec<_>>(),
        &changes.iter().map(|(signal, ..)| signal.reason.as_deref()).collect::<Vec<_>>() as &[Option<&str>],
    )
    .execute(&mut **transaction)
    .await
    .map(drop)
}
