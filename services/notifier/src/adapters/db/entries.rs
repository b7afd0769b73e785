//! Single entries of what tenants configure, and what hangs on them.

use events::Timestamp;
use serde_json::Value;
use sqlx::{Postgres, Transaction};

use super::{Edit, Kind, Store};

/// An entry as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub name: String,
    pub document: Value,
    pub version: i64,
    pub updated_at: Timestamp,
    pub updated_by: String,
}

impl Store {
    pub async fn entries(&self, tenant: &str, kind: Kind) -> Result<Vec<Entry>, sqlx::Error> {
        sqlx::query_as!(
            Entry,
            "SELECT name, document, version, updated_at, updated_by FROM configuration WHERE tenant = $1 AND kind = $2 ORDER BY name",
            tenant,
            kind.as_str()
        )
        .fetch_all(&self.pool)
        .await
    }

    pub async fn entry(&self, tenant: &str, kind: Kind, name: &str) -> Result<Option<Entry>, sqlx::Error> {
        sqlx::query_as!(
            Entry,
            "SELECT name, document, version, updated_at, updated_by FROM configuration WHERE tenant = $1 AND kind = $2 AND name = $3",
            tenant,
            kind.as_str(),
            name
        )
        .fetch_optional(&self.pool)
        .await
    }
}

pub(super) async fn put(transaction: &mut Transaction<'_, Postgres>, edit: &Edit<'_>, document: &Value) -> Result<Entry, sqlx::Error> {
    if Kind::CHANNELS.contains(&edit.kind) {
        // Whoever saves an endpoint wants it to be used: what a 410 disabled is tried again.
        sqlx::query!(
            "INSERT INTO delivery_endpoint (tenant, kind, name) VALUES ($1, $2, $3)
             ON CONFLICT (tenant, kind, name) DO UPDATE SET disabled_at = NULL, failures = 0, open_until = NULL",
            edit.tenant,
            edit.kind.as_str(),
            edit.name
        )
        .execute(&mut **transaction)
        .await?;
    }
    sqlx::query_as!(
        Entry,
        "INSERT INTO configuration AS c (tenant, kind, name, document, updated_by) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (tenant, kind, name) DO UPDATE
         SET document = EXCLUDED.document, version = c.version + 1, updated_at = now(), updated_by = EXCLUDED.updated_by
         RETURNING name, document, version, updated_at, updated_by",
        edit.tenant,
        edit.kind.as_str(),
        edit.name,
        document,
        edit.by
    )
    .fetch_one(&mut **transaction)
    .await
}

pub(super) async fn remove(transaction: &mut Transaction<'_, Postgres>, edit: &Edit<'_>) -> Result<(), sqlx::Error> {
    let Edit { tenant, name, .. } = *edit;
    let kind = edit.kind.as_str();
    sqlx::query!("DELETE FROM configuration WHERE tenant = $1 AND kind = $2 AND name = $3", tenant, kind, name)
        .execute(&mut **transaction)
        .await?;
    match edit.kind {
        Kind::Webhook => {
            sqlx::query!("DELETE FROM webhook_secret WHERE tenant = $1 AND webhook = $2", tenant, name).execute(&mut **transaction).await?;
            remove_endpoint(transaction, edit, "the webhook was removed").await
        }
        Kind::Email => remove_endpoint(transaction, edit, "the e-mail was removed").await,
        Kind::Receiver => {
            sqlx::query!("DELETE FROM receiver_pace WHERE tenant = $1 AND receiver = $2", tenant, name).execute(&mut **transaction).await?;
            sqlx::query!("DELETE FROM held_notification WHERE tenant = $1 AND receiver = $2", tenant, name)
                .execute(&mut **transaction)
                .await?;
            sqlx::query!("DELETE FROM heartbeat WHERE tenant = $1 AND receiver = $2", tenant, name)
                .execute(&mut **transaction)
                .await
                .map(drop)
        }
        Kind::Route | Kind::Silence | Kind::Escalation | Kind::MuteTime | Kind::Scene => Ok(()),
    }
}

/// What was to be sent to it is not sent any more.
async fn remove_endpoint(transaction: &mut Transaction<'_, Postgres>, edit: &Edit<'_>, because: &str) -> Result<(), sqlx::Error> {
    let Edit { tenant, name, .. } = *edit;
    let kind = edit.kind.as_str();
    sqlx::query!("DELETE FROM delivery_endpoint WHERE tenant = $1 AND kind = $2 AND name = $3", tenant, kind, name)
        .execute(&mut **transaction)
        .await?;
    sqlx::query!(
        "UPDATE delivery SET state = 'FAILED', finished_at = now(), last_error = $4
         WHERE tenant = $1 AND kind = $2 AND name = $3 AND state = 'PENDING'",
        tenant,
        kind,
        name,
        because
    )
    .execute(&mut **transaction)
    .await
    .map(drop)
}
