//! Reading notifications: lists by keyset, and one.

use std::collections::HashMap;

use events::{Notification, NotificationState, Timestamp};
use sqlx::types::Json;
use sqlx::{PgConnection, Postgres, QueryBuilder};
use uuid::Uuid;

use super::Store;
use super::rows::{NotificationRow, date};
use crate::domain::filter::Filter;
use crate::domain::symbol;

/// A page, newest first.
pub struct Listed {
    pub notifications: Vec<Notification>,
    /// Where it ended, if more follow.
    pub next: Option<(Timestamp, Uuid)>,
}

impl Store {
    /// Up to `limit` notifications of a tenant after `after`, by `opened_at` and id, latest first.
    pub async fn list(&self, tenant: &str, filter: &Filter, after: Option<(Timestamp, Uuid)>, limit: usize) -> Result<Listed, sqlx::Error> {
        let mut query = QueryBuilder::new("SELECT * FROM notification WHERE tenant = ");
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
        let row: Option<NotificationRow> = sqlx::query_as("SELECT * FROM notification WHERE notification_id = $1 AND tenant = $2")
            .bind(id)
            .bind(tenant)
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.map(|row| row.0))
    }
}

/// Notifications of whatever tenant, by their ids.
pub(super) async fn by_id(connection: &mut PgConnection, ids: Vec<Uuid>) -> Result<HashMap<Uuid, NotificationRow>, sqlx::Error> {
    let rows: Vec<NotificationRow> =
        sqlx::query_as("SELECT * FROM notification WHERE notification_id = ANY($1)").bind(ids).fetch_all(connection).await?;
    Ok(rows.into_iter().filter_map(|row| Some((row.0.notification_id.parse().ok()?, row))).collect())
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

fn push_any(query: &mut QueryBuilder<Postgres>, column: &'static str, values: Vec<String>) {
    if !values.is_empty() {
        query.push(" AND ").push(column).push(" = ANY(").push_bind(values).push(")");
    }
}
