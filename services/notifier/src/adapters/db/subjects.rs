//! What is known of keys: locked, read, and written back.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use events::{Change, Labels, Notification, NotificationState, Timestamp};
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::types::Json;
use sqlx::{Postgres, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

use super::list;
use super::rows::{array, checked, stored, uuid};
use crate::domain::lifecycle::{Ledger, Subject};
use crate::domain::symbol as text_of;

/// (tenant, `dedup_key`)
pub(super) type Key = (String, String);

struct KeyRow {
    tenant: String,
    dedup_key: String,
    notification_id: Option<Uuid>,
    started_at: Option<OffsetDateTime>,
    changed_at: Option<OffsetDateTime>,
    ended: bool,
}

impl KeyRow {
    fn ledger(&self) -> Option<Ledger> {
        let (started_at, changed_at) = self.started_at.zip(self.changed_at)?;
        Some(Ledger { started_at: started_at.into(), changed_at: changed_at.into(), ended: self.ended })
    }
}

/// Locks the keys until the transaction ends and reads what is known of them.
pub(super) async fn lock(transaction: &mut Transaction<'_, Postgres>, keys: BTreeSet<Key>) -> Result<BTreeMap<Key, Subject>, sqlx::Error> {
    let (tenants, dedup_keys): (Vec<&str>, Vec<&str>) = keys.iter().map(texts).unzip();
    let mut rows = sqlx::query_as!(
        KeyRow,
        "INSERT INTO notification_key (tenant, dedup_key)
         SELECT * FROM unnest($1::text[], $2::text[]) ORDER BY 1, 2
         ON CONFLICT DO NOTHING
         RETURNING tenant, dedup_key, notification_id, started_at, changed_at, ended",
        &tenants as &[&str],
        &dedup_keys as &[&str]
    )
    .fetch_all(&mut **transaction)
    .await?;
    let new: HashSet<(&str, &str)> = rows.iter().map(|row| (row.tenant.as_str(), row.dedup_key.as_str())).collect();
    let (tenants, dedup_keys): (Vec<&str>, Vec<&str>) = keys.iter().map(texts).filter(|key| !new.contains(key)).unzip();
    if !tenants.is_empty() {
        // In one order, so that two batches wait for each other instead of locking each other out.
        let locked = sqlx::query_as!(
            KeyRow,
            "SELECT tenant, dedup_key, notification_id, started_at, changed_at, ended FROM notification_key
             WHERE (tenant, dedup_key) IN (SELECT * FROM unnest($1::text[], $2::text[]))
             ORDER BY tenant, dedup_key FOR UPDATE",
            &tenants as &[&str],
            &dedup_keys as &[&str]
        );
        let locked = locked.fetch_all(&mut **transaction).await?;
        rows.extend(locked);
    }
    // Read after the locks are held: a statement sees what was committed before it began.
    let ids: Vec<Uuid> = rows.iter().filter_map(|row| row.notification_id).collect();
    let mut notifications = list::by_id(transaction, &ids).await?;
    let subject = |row: KeyRow| {
        let (ledger, current) = (row.ledger(), row.notification_id.and_then(|id| notifications.remove(&id)));
        ((row.tenant, row.dedup_key), Subject { ledger, current })
    };
    Ok(rows.into_iter().map(subject).collect())
}

fn texts((tenant, dedup_key): &Key) -> (&str, &str) {
    (tenant, dedup_key)
}

/// The same for one key.
pub(super) async fn lock_one(transaction: &mut Transaction<'_, Postgres>, key: &Key) -> Result<Subject, sqlx::Error> {
    Ok(lock(transaction, BTreeSet::from([key.clone()])).await?.remove(key).unwrap_or_default())
}

pub(super) async fn save(transaction: &mut Transaction<'_, Postgres>, subjects: &[(&Key, &Subject)]) -> Result<(), sqlx::Error> {
    let id = |subject: &Subject| subject.current.as_ref().map(|current| uuid(&current.notification_id)).transpose();
    let time = |subject: &Subject, of: fn(Ledger) -> Timestamp| subject.ledger.map(|ledger| stored(of(ledger))).transpose();
    sqlx::query!(
        "UPDATE notification_key k
         SET notification_id = d.notification_id, started_at = d.started_at, changed_at = d.changed_at, ended = d.ended
         FROM unnest($1::text[], $2::text[], $3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::bool[])
             AS d (tenant, dedup_key, notification_id, started_at, changed_at, ended)
         WHERE k.tenant = d.tenant AND k.dedup_key = d.dedup_key",
        &array(subjects, |((tenant, _), _)| tenant.as_str()) as &[&str],
        &array(subjects, |((_, dedup_key), _)| dedup_key.as_str()) as &[&str],
        &checked(subjects, |(_, subject)| id(subject))? as &[Option<Uuid>],
        &checked(subjects, |(_, subject)| time(subject, |ledger| ledger.started_at))? as &[Option<OffsetDateTime>],
        &checked(subjects, |(_, subject)| time(subject, |ledger| ledger.changed_at))? as &[Option<OffsetDateTime>],
        &array(subjects, |(_, subject)| subject.ledger.is_some_and(|ledger| ledger.ended)),
    )
    .execute(&mut **transaction)
    .await
    .map(drop)
}

/// Writes notifications as they are now; each at most once. The resolved ones first: at no row may two of a key be
/// unresolved.
pub(super) async fn save_notifications<'a>(
    transaction: &mut Transaction<'_, Postgres>,
    notifications: impl Iterator<Item = &'a Notification>,
) -> Result<(), sqlx::Error> {
    let (resolved, unresolved): (Vec<&Notification>, Vec<&Notification>) =
        notifications.partition(|notification| notification.state == NotificationState::Resolved);
    saving(&[resolved, unresolved].concat())?.execute(&mut **transaction).await.map(drop)
}

/// An array a column: of rows as JSON Postgres would have to make columns first, which takes it as long as storing them.
pub(super) fn saving(n: &[&Notification]) -> Result<Query<'static, Postgres, PgArguments>, sqlx::Error> {
    Ok(sqlx::query!(
        "INSERT INTO notification AS n (notification_id, tenant, version, kind, state, severity, device_id, group_id, title, body, dedup_key,
             occurrences, opened_at, updated_at, resolved_at, snoozed_until, acknowledged_by, suppressed_by, labels, links, change,
             source_event_id)
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
             $10::text[], $11::text[], $12::bigint[], $13::timestamptz[], $14::timestamptz[], $15::timestamptz[], $16::timestamptz[],
             $17::text[], $18::text[], $19::jsonb[], $20::jsonb[], $21::jsonb[], $22::uuid[])
         ON CONFLICT (notification_id) DO UPDATE SET
             version = EXCLUDED.version, state = EXCLUDED.state, severity = EXCLUDED.severity, group_id = EXCLUDED.group_id,
             title = EXCLUDED.title, body = EXCLUDED.body, occurrences = EXCLUDED.occurrences, updated_at = EXCLUDED.updated_at,
             resolved_at = EXCLUDED.resolved_at, snoozed_until = EXCLUDED.snoozed_until, acknowledged_by = EXCLUDED.acknowledged_by,
             suppressed_by = EXCLUDED.suppressed_by, labels = EXCLUDED.labels, links = EXCLUDED.links, change = EXCLUDED.change,
             source_event_id = EXCLUDED.source_event_id",
        &checked(n, |n| uuid(&n.notification_id))?,
        &array(n, |n| n.tenant.as_str()) as &[&str],
        &array(n, |n| n.version),
        &array(n, |n| n.kind.as_str()) as &[&str],
        &array(n, |n| text_of(&n.state)),
        &array(n, |n| text_of(&n.severity)),
        &array(n, |n| n.device_id.as_deref()) as &[Option<&str>],
        &array(n, |n| n.group_id.as_deref()) as &[Option<&str>],
        &array(n, |n| n.title.as_str()) as &[&str],
        &array(n, |n| n.body.as_str()) as &[&str],
        &array(n, |n| n.dedup_key.as_str()) as &[&str],
        &array(n, |n| n.occurrences),
        &checked(n, |n| stored(n.opened_at))?,
        &checked(n, |n| stored(n.updated_at))?,
        &checked(n, |n| n.resolved_at.map(stored).transpose())? as &[Option<OffsetDateTime>],
        &checked(n, |n| n.snoozed_until.map(stored).transpose())? as &[Option<OffsetDateTime>],
        &array(n, |n| n.acknowledged_by.as_deref()) as &[Option<&str>],
        &array(n, |n| n.suppressed_by.as_deref()) as &[Option<&str>],
        &array(n, |n| Json(&n.labels)) as &[Json<&Labels>],
        &array(n, |n| Json(&n.links)) as &[Json<&Labels>],
        &array(n, |n| Json(&n.change)) as &[Json<&Change>],
        &checked(n, |n| uuid(&n.source_event_id))?,
    ))
}
