//! What is known of keys: locked, read, and written back.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use events::{Notification, NotificationState, Timestamp};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::types::Json;
use sqlx::{FromRow, Postgres, Row, Transaction};
use uuid::Uuid;

use super::rows::{NotificationRow, array, checked, optional_timestamp, stored, uuid};
use crate::domain::lifecycle::{Ledger, Subject};
use crate::domain::symbol as text_of;

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
    ON CONFLICT DO NOTHING
    RETURNING *";

/// In one order, so that two batches wait for each other instead of locking each other out.
const LOCK_KEYS: &str = "
    SELECT * FROM notification_key
    WHERE (tenant, dedup_key) IN (SELECT * FROM unnest($1::text[], $2::text[]))
    ORDER BY tenant, dedup_key FOR UPDATE";

/// Locks the keys until the transaction ends and reads what is known of them.
pub(super) async fn lock(transaction: &mut Transaction<'_, Postgres>, keys: BTreeSet<Key>) -> Result<BTreeMap<Key, Subject>, sqlx::Error> {
    let mut rows = rows_of(transaction, ADD_KEYS, keys.iter()).await?;
    let new: HashSet<&Key> = rows.iter().map(|row| &row.key).collect();
    let old: Vec<&Key> = keys.iter().filter(|key| !new.contains(key)).collect();
    if !old.is_empty() {
        let locked = rows_of(transaction, LOCK_KEYS, old.into_iter()).await?;
        rows.extend(locked);
    }
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

async fn rows_of(
    transaction: &mut Transaction<'_, Postgres>,
    statement: &'static str,
    keys: impl Iterator<Item = &Key>,
) -> Result<Vec<KeyRow>, sqlx::Error> {
    let (tenants, dedup_keys): (Vec<&str>, Vec<&str>) = keys.map(|(tenant, dedup_key)| (tenant.as_str(), dedup_key.as_str())).unzip();
    sqlx::query_as(statement).bind(tenants).bind(dedup_keys).fetch_all(&mut **transaction).await
}

/// The same for one key.
pub(super) async fn lock_one(transaction: &mut Transaction<'_, Postgres>, key: &Key) -> Result<Subject, sqlx::Error> {
    Ok(lock(transaction, BTreeSet::from([key.clone()])).await?.remove(key).unwrap_or_default())
}

const SAVE_KEYS: &str = "
    UPDATE notification_key k
    SET notification_id = d.notification_id, started_at = d.started_at, changed_at = d.changed_at, ended = d.ended
    FROM unnest($1::text[], $2::text[], $3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::bool[])
        AS d (tenant, dedup_key, notification_id, started_at, changed_at, ended)
    WHERE k.tenant = d.tenant AND k.dedup_key = d.dedup_key";

pub(super) async fn save(transaction: &mut Transaction<'_, Postgres>, subjects: &[(&Key, &Subject)]) -> Result<(), sqlx::Error> {
    let id = |subject: &Subject| subject.current.as_ref().map(|current| uuid(&current.notification_id)).transpose();
    let time = |subject: &Subject, of: fn(Ledger) -> Timestamp| subject.ledger.map(|ledger| stored(of(ledger))).transpose();
    sqlx::query(SAVE_KEYS)
        .bind(array(subjects, |((tenant, _), _)| tenant.as_str()))
        .bind(array(subjects, |((_, dedup_key), _)| dedup_key.as_str()))
        .bind(checked(subjects, |(_, subject)| id(subject))?)
        .bind(checked(subjects, |(_, subject)| time(subject, |ledger| ledger.started_at))?)
        .bind(checked(subjects, |(_, subject)| time(subject, |ledger| ledger.changed_at))?)
        .bind(array(subjects, |(_, subject)| subject.ledger.is_some_and(|ledger| ledger.ended)))
        .execute(&mut **transaction)
        .await
        .map(drop)
}

/// Puts notifications into a table of the kind, each as it now is.
macro_rules! save_into {
    ($table:literal) => {
        concat!(
            "INSERT INTO ",
            $table,
            " AS n (notification_id, tenant, version, kind, state, severity, device_id, group_id, title, body, dedup_key, occurrences,
                opened_at, updated_at, resolved_at, snoozed_until, acknowledged_by, suppressed_by, labels, links, change, source_event_id)
            SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
                $10::text[], $11::text[], $12::bigint[], $13::timestamptz[], $14::timestamptz[], $15::timestamptz[], $16::timestamptz[],
                $17::text[], $18::text[], $19::jsonb[], $20::jsonb[], $21::jsonb[], $22::uuid[])
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
    saving(SAVE_NOTIFICATIONS, &[resolved, unresolved].concat())?.execute(&mut **transaction).await.map(drop)
}

/// A statement of [`save_into`] with its notifications. An array a column: of rows as JSON Postgres would have to make
/// columns first, which takes it as long as storing them.
pub(super) fn saving<'a>(statement: &'static str, n: &[&'a Notification]) -> Result<Query<'a, Postgres, PgArguments>, sqlx::Error> {
    Ok(sqlx::query(statement)
        .bind(checked(n, |n| uuid(&n.notification_id))?)
        .bind(array(n, |n| n.tenant.as_str()))
        .bind(array(n, |n| n.version))
        .bind(array(n, |n| n.kind.as_str()))
        .bind(array(n, |n| text_of(&n.state)))
        .bind(array(n, |n| text_of(&n.severity)))
        .bind(array(n, |n| n.device_id.as_deref()))
        .bind(array(n, |n| n.group_id.as_deref()))
        .bind(array(n, |n| n.title.as_str()))
        .bind(array(n, |n| n.body.as_str()))
        .bind(array(n, |n| n.dedup_key.as_str()))
        .bind(array(n, |n| n.occurrences))
        .bind(checked(n, |n| stored(n.opened_at))?)
        .bind(checked(n, |n| stored(n.updated_at))?)
        .bind(checked(n, |n| n.resolved_at.map(stored).transpose())?)
        .bind(checked(n, |n| n.snoozed_until.map(stored).transpose())?)
        .bind(array(n, |n| n.acknowledged_by.as_deref()))
        .bind(array(n, |n| n.suppressed_by.as_deref()))
        .bind(array(n, |n| Json(&n.labels)))
        .bind(array(n, |n| Json(&n.links)))
        .bind(array(n, |n| Json(&n.change)))
        .bind(checked(n, |n| uuid(&n.source_event_id))?))
}
