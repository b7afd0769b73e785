//! Reading notifications: lists by keyset, and one.

use std::collections::HashMap;

use events::{Change, Labels, Notification, NotificationState, Severity, Timestamp};
use sqlx::types::Json;
use sqlx::{PgConnection, PgExecutor, Postgres, QueryBuilder};
use uuid::Uuid;

use super::Store;
use super::rows::{JsonOf, NotificationRow, OptionalTime, Symbol, date};
use crate::domain::filter::Filter;
use crate::domain::symbol;

/// A page, newest first.
pub struct Listed {
    pub notifications: Vec<Notification>,
    /// Where it ended, if more follow.
    pub next: Option<(Timestamp, Uuid)>,
}

/// Notifications of a condition, with its parameters.
macro_rules! notifications {
    ($condition:literal, $($parameter:expr),+) => {
        sqlx::query_as!(
            Notification,
            r#"SELECT tenant, notification_id, version, kind, state AS "state: Symbol<NotificationState>",
                      severity AS "severity: Symbol<Severity>", device_id, group_id, title, body, dedup_key, occurrences, opened_at,
                      updated_at, resolved_at AS "resolved_at!: OptionalTime", snoozed_until AS "snoozed_until!: OptionalTime",
                      acknowledged_by, suppressed_by, labels AS "labels: JsonOf<Labels>", links AS "links: JsonOf<Labels>",
                      change AS "change: JsonOf<Change>", source_event_id
               FROM notification WHERE "# + $condition,
            $($parameter),+
        )
    };
}

impl Store {
    /// Up to `limit` notifications of a tenant after `after`, by `opened_at` and id, latest first.
    pub async fn list(&self, tenant: &str, filter: &Filter, after: Option<(Timestamp, Uuid)>, limit: usize) -> Result<Listed, sqlx::Error> {
        let mut query = QueryBuilder::new(
            "SELECT tenant, notification_id, version, kind, state, severity, device_id, group_id, title, body, dedup_key, occurrences,
                    opened_at, updated_at, resolved_at, snoozed_until, acknowledged_by, suppressed_by, labels, links, change, source_event_id
             FROM notification WHERE tenant = ",
        );
        query.push_bind(tenant);
        push_filter(&mut query, filter);
        if let Some((opened_at, notification_id)) = after {
            query.push(" AND (opened_at, notification_id) < (").push_bind(date(opened_at)).push(", ").push_bind(notification_id).push(")");
        }
        // One more than asked for tells whether there are more.
        query.push(" ORDER BY opened_at DESC, notification_id DESC LIMIT ").push_bind(limit as i64 + 1);
        let rows: Vec<NotificationRow> = query.build_query_as().fetch_all(&self.pool).await?;
        let mut notifications: Vec<Notification> = rows.into_iter().map(|row| row.0).collect();
        let more = notifications.len() > limit;
        notifications.truncate(limit);
        let next = notifications.last().filter(|_| more).and_then(|last| {
            let notification_id = last.notification_id.parse().ok()?;
            Some((last.opened_at, notification_id))
        });
        Ok(Listed { notifications, next })
    }

    pub async fn find(&self, tenant: &str, id: Uuid) -> Result<Option<Notification>, sqlx::Error> {
        one(&self.pool, tenant, id).await
    }
}

/// A notification of a tenant.
pub(super) async fn one(executor: impl PgExecutor<'_>, tenant: &str, id: Uuid) -> Result<Option<Notification>, sqlx::Error> {
    notifications!("notification_id = $1 AND tenant = $2", id, tenant).fetch_optional(executor).await
}

/// Notifications of whatever tenant, by their ids.
pub(super) async fn by_id(connection: &mut PgConnection, ids: &[Uuid]) -> Result<HashMap<Uuid, Notification>, sqlx::Error> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let found = notifications!("notification_id = ANY($1)", ids).fetch_all(connection).await?;
    Ok(found.into_iter().filter_map(|notification| Some((notification.notification_id.parse().ok()?, notification))).collect())
}

/// What says that one of these devices is offline.
pub(super) async fn offline(connection: &mut PgConnection, tenant: &str, devices: &[String]) -> Result<Vec<Notification>, sqlx::Error> {
    if devices.is_empty() {
        return Ok(Vec::new());
    }
    notifications!("tenant = $1 AND device_id = ANY($2) AND kind = 'device-offline' AND state <> 'RESOLVED'", tenant, devices)
        .fetch_all(connection)
        .await
}

fn push_filter(query: &mut QueryBuilder<Postgres>, filter: &Filter) {
    let symbols: Vec<String> = filter.states.iter().map(symbol).collect();
    push_any(query, "state", symbols);
    // Told apart for the planner: the partial index serves whoever wants no resolved ones.
    if !filter.states.is_empty() && !filter.states.contains(&NotificationState::Resolved) {
        query.push(" AND state <> 'RESOLVED'");
    }
    push_any(query, "severity", filter.severities.iter().map(symbol).collect());
    push_any(query, "kind", filter.kinds.clone());
    push_any(query, "device_id", filter.device_ids.clone());
    push_any(query, "group_id", filter.group_ids.clone());
    for (name, value) in &filter.labels {
        query.push(" AND labels @> ").push_bind(Json(serde_json::json!({ name: value })));
    }
    if let Some(since) = filter.since {
        query.push(" AND updated_at >= ").push_bind(date(since));
    }
    if let Some(until) = filter.until {
        query.push(" AND updated_at < ").push_bind(date(until));
    }
    if let Some(text) = &filter.text {
        let pattern = format!("%{}%", text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"));
        query.push(" AND (title ILIKE ").push_bind(pattern.clone());
        query.push(" OR body ILIKE ").push_bind(pattern.clone());
        query.push(" OR device_id ILIKE ").push_bind(pattern).push(")");
    }
}

pub(super) fn push_any(query: &mut QueryBuilder<Postgres>, column: &'static str, mut values: Vec<String>) {
    match values.len() {
        0 => {}
        // Told apart for the planner: of one value an index has the list's order, of an array it does not know that.
        1 => {
            query.push(" AND ").push(column).push(" = ").push_bind(values.remove(0));
        }
        _ => {
            query.push(" AND ").push(column).push(" = ANY(").push_bind(values).push(")");
        }
    }
}
