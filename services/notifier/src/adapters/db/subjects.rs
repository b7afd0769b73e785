//! What is known of keys: locked, read, and written back.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use events::{Notification, NotificationState, Timestamp};
use serde::Serialize;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{FromRow, Postgres, Row, Transaction};
use uuid::Uuid;

use super::rows::{NotificationRow, optional_timestamp};
use crate::adapters::document::{NotificationDocument, Rfc3339};
use crate::domain::lifecycle::{Ledger, Subject};

/// (tenant, `dedup_key`)
pub(super) type Key = (String, String);

struct KeyRow {
    key: Key,
    notification_id: Option<Uuid>,
    ledger: Option<Ledger>,
}

impl FromRow<'_, PgRow> for KeyRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let times = optional_timestamp(row, "started_at")?.zip(optional_timestamp(row, "changed_at")?);
        let ended = row.try_get("ended")?;
        Ok(Self {
            key: (row.try_get("tenant")?, row.try_get("dedup_key")?),
            notification_id: row.try_get("notification_id")?,
            ledger: times.map(|(started_at, changed_at)| Ledger { started_at, changed_at, ended }),
        })
    }
}

const ADD_KEYS: &str = "
    INSERT INTO notification_key (tenant, dedup_key)
    SELECT * FROM unnest($1::text[], $2::text[]) ORDER BY 1, 2
    ON CONFLICT DO NOTHING";

/// In one order, so that two batches wait for each other instead of locking each other out.
const LOCK_KEYS: &str = "
    SELECT * FROM notification_key
    WHERE (tenant, dedup_key) IN (SELECT * FROM unnest($1::text[], $2::text[]))
    ORDER BY tenant, dedup_key FOR UPDATE";

/// Locks the keys until the transaction ends and reads what is known of them.
pub(super) async fn lock(transaction: &mut Transaction<'_, Postgres>, keys: BTreeSet<Key>) -> Result<BTreeMap<Key, Subject>, sqlx::Error> {
    let (tenants, dedup_keys): (Vec<String>, Vec<String>) = keys.into_iter().unzip();
    sqlx::query(ADD_KEYS).bind(&tenants).bind(&dedup_keys).execute(&mut **transaction).await?;
    let rows: Vec<KeyRow> = sqlx::query_as(LOCK_KEYS).bind(&tenants).bind(&dedup_keys).fetch_all(&mut **transaction).await?;
    // Read after the locks are held: a statement sees what was committed before it began.
    let ids: Vec<Uuid> = rows.iter().filter_map(|row| row.notification_id).collect();
    let mut notifications: HashMap<String, Notification> = HashMap::new();
    if !ids.is_empty() {
        let found: Vec<NotificationRow> =
            sqlx::query_as("SELECT * FROM notification WHERE notification_id = ANY($1)").bind(ids).fetch_all(&mut **transaction).await?;
        notifications.extend(found.into_iter().map(|row| (row.0.notification_id.clone(), row.0)));
    }
    let subject = |row: KeyRow| {
        let current = row.notification_id.and_then(|id| notifications.remove(&id.to_string()));
        (row.key, Subject { ledger: row.ledger, current })
    };
    Ok(rows.into_iter().map(subject).collect())
}

/// The same for one key.
pub(super) async fn lock_one(transaction: &mut Transaction<'_, Postgres>, key: &Key) -> Result<Subject, sqlx::Error> {
    Ok(lock(transaction, BTreeSet::from([key.clone()])).await?.remove(key).unwrap_or_default())
}

#[derive(Serialize)]
struct KeyDocument<'a> {
    tenant: &'a str,
    dedup_key: &'a str,
    notification_id: Option<&'a str>,
    started_at: Option<Rfc3339>,
    changed_at: Option<Rfc3339>,
    ended: bool,
}

const SAVE_KEYS: &str = "
    UPDATE notification_key k
    SET notification_id = d.notification_id, started_at = d.started_at, changed_at = d.changed_at, ended = d.ended
    FROM jsonb_populate_recordset(NULL::notification_key, $1) d
    WHERE k.tenant = d.tenant AND k.dedup_key = d.dedup_key";

pub(super) async fn save<'a>(
    transaction: &mut Transaction<'_, Postgres>,
    subjects: impl Iterator<Item = (&'a Key, &'a Subject)>,
) -> Result<(), sqlx::Error> {
    let document = |((tenant, dedup_key), subject): (&'a Key, &'a Subject)| KeyDocument {
        tenant,
        dedup_key,
        notification_id: subject.current.as_ref().map(|current| current.notification_id.as_str()),
        started_at: time_of(subject, |ledger| ledger.started_at),
        changed_at: time_of(subject, |ledger| ledger.changed_at),
        ended: subject.ledger.is_some_and(|ledger| ledger.ended),
    };
    let documents: Vec<KeyDocument<'a>> = subjects.map(document).collect();
    sqlx::query(SAVE_KEYS).bind(Json(documents)).execute(&mut **transaction).await.map(drop)
}

fn time_of(subject: &Subject, time: impl Fn(Ledger) -> Timestamp) -> Option<Rfc3339> {
    subject.ledger.map(|ledger| Rfc3339(time(ledger)))
}

/// Puts notifications into a table of the kind, each as it now is.
macro_rules! save_into {
    ($table:literal) => {
        concat!(
            "INSERT INTO ",
            $table,
            " AS n SELECT * FROM jsonb_populate_recordset(NULL::notification, $1)
            ON CONFLICT (notification_id) DO UPDATE SET
                version = EXCLUDED.version, state = EXCLUDED.state, severity = EXCLUDED.severity, group_id = EXCLUDED.group_id,
                title = EXCLUDED.title, body = EXCLUDED.body, occurrences = EXCLUDED.occurrences, updated_at = EXCLUDED.updated_at,
                resolved_at = EXCLUDED.resolved_at, snoozed_until = EXCLUDED.snoozed_until, acknowledged_by = EXCLUDED.acknowledged_by,
                suppressed_by = EXCLUDED.suppressed_by, labels = EXCLUDED.labels, links = EXCLUDED.links, change = EXCLUDED.change,
                source_event_id = EXCLUDED.source_event_id"
        )
    };
}
pub(super) use save_into;

const SAVE_NOTIFICATIONS: &str = save_into!("notification");

/// Writes notifications as they are now; each at most once. The resolved ones first: at no row may two of a key be
/// unresolved.
pub(super) async fn save_notifications<'a>(
    transaction: &mut Transaction<'_, Postgres>,
    notifications: impl Iterator<Item = &'a Notification>,
) -> Result<(), sqlx::Error> {
    let (resolved, unresolved): (Vec<&Notification>, Vec<&Notification>) =
        notifications.partition(|notification| notification.state == NotificationState::Resolved);
    let documents: Vec<NotificationDocument> = resolved.into_iter().chain(unresolved).map(NotificationDocument::from).collect();
    sqlx::query(SAVE_NOTIFICATIONS).bind(Json(documents)).execute(&mut **transaction).await.map(drop)
}
