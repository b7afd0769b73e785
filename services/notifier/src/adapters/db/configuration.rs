//! What tenants configure. Every change is checked against all the rest, under one lock per tenant.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use events::Timestamp;
use serde_json::{Map, Value, json};
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection, Postgres, Row, Transaction};
use stream::Failure;

use super::rows::timestamp;
use super::{Store, classify};
use crate::domain::configuration::{Configuration, Mistake};

/// What can be configured. Each has a table in [`Configuration`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Receiver,
    /// One a tenant: the whole tree, named `routes`.
    Route,
    Silence,
    Escalation,
    MuteTime,
    Webhook,
    Email,
}

/// The one name of a tenant's tree of routes.
pub const ROUTES: &str = "routes";

impl Kind {
    pub const ALL: [Self; 7] = [Self::Receiver, Self::Route, Self::Silence, Self::Escalation, Self::MuteTime, Self::Webhook, Self::Email];
    /// What deliveries go to.
    pub const CHANNELS: [Self; 2] = [Self::Webhook, Self::Email];

    /// As the column and [`Configuration`] name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Receiver => "receivers",
            Self::Route => ROUTES,
            Self::Silence => "silences",
            Self::Escalation => "escalations",
            Self::MuteTime => "mute_times",
            Self::Webhook => "webhooks",
            Self::Email => "emails",
        }
    }
}

/// An entry as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub name: String,
    pub document: Value,
    pub version: i64,
    pub updated_at: Timestamp,
    pub updated_by: String,
}

impl FromRow<'_, sqlx::postgres::PgRow> for Entry {
    fn from_row(row: &sqlx::postgres::PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            name: row.try_get("name")?,
            document: row.try_get::<Json<Value>, _>("document")?.0,
            version: row.try_get("version")?,
            updated_at: timestamp(row, "updated_at")?,
            updated_by: row.try_get("updated_by")?,
        })
    }
}

/// Why nothing was configured.
#[derive(Debug, thiserror::Error)]
pub enum NotConfigured {
    #[error("no such entry")]
    Missing,
    #[error("the entry is at version {current}, not {expected}")]
    Stale { expected: i64, current: i64 },
    /// The configuration would be wrong.
    #[error("the configuration would be wrong")]
    Wrong(Vec<Mistake>),
    /// Someone else changed the secret of this webhook since it was read.
    #[error("the secret of webhook {0} was changed by someone else just now")]
    SecretChanged(String),
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<sqlx::Error> for NotConfigured {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(classify(&error))
    }
}

/// A change of one entry.
pub struct Edit<'a> {
    pub tenant: &'a str,
    pub kind: Kind,
    pub name: &'a str,
    /// `None`: it goes.
    pub document: Option<Value>,
    /// The version the asker has seen; 0: there must be none.
    pub expected: Option<i64>,
    pub by: &'a str,
}

/// What of a webhook is secret.
pub(super) type Sealed = Vec<u8>;

/// What is to be sealed for a webhook from now on, if what is now still is what it was; `None`: nothing.
#[derive(Clone, Debug)]
pub struct Reseal {
    pub was: Option<Sealed>,
    pub sealed: Sealed,
}

/// What tenants configured, as it was read last, each with its version.
pub(super) type Known = Arc<Mutex<HashMap<String, (i64, Arc<Configuration>)>>>;

impl Store {
    /// Everything a tenant configured. What a later release wrote and this one cannot read is waited out: Transient.
    pub async fn configuration(&self, tenant: &str) -> Result<Arc<Configuration>, Failure> {
        let mut connection = self.pool.acquire().await.map_err(|error| classify(&error))?;
        self.configured(&mut connection, tenant).await
    }

    /// The same on a connection; read anew only when it was changed since.
    pub(super) async fn configured(&self, connection: &mut PgConnection, tenant: &str) -> Result<Arc<Configuration>, Failure> {
        // First: what is read afterwards may be newer than it says, and is then read once more.
        let version: Option<i64> = sqlx::query_scalar("SELECT version FROM configuration_version WHERE tenant = $1")
            .bind(tenant)
            .fetch_optional(&mut *connection)
            .await
            .map_err(|error| classify(&error))?;
        let version = version.unwrap_or(0);
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(tenant).cloned();
        if let Some((_, configuration)) = known.filter(|(known, _)| *known == version) {
            return Ok(configuration);
        }
        let configuration = Arc::new(load(connection, tenant).await?);
        let known = (version, Arc::clone(&configuration));
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(tenant.to_owned(), known);
        Ok(configuration)
    }

    pub async fn entries(&self, tenant: &str, kind: Kind) -> Result<Vec<Entry>, sqlx::Error> {
        sqlx::query_as("SELECT * FROM configuration WHERE tenant = $1 AND kind = $2 ORDER BY name")
            .bind(tenant)
            .bind(kind.as_str())
            .fetch_all(&self.pool)
            .await
    }

    pub async fn entry(&self, tenant: &str, kind: Kind, name: &str) -> Result<Option<Entry>, sqlx::Error> {
        sqlx::query_as("SELECT * FROM configuration WHERE tenant = $1 AND kind = $2 AND name = $3")
            .bind(tenant)
            .bind(kind.as_str())
            .bind(name)
            .fetch_optional(&self.pool)
            .await
    }

    /// Makes one change if the whole is right afterwards; returns the entry, and whether it is new. What is sealed for a
    /// webhook is kept with it.
    pub async fn configure(&self, edit: &Edit<'_>, secret: Option<Reseal>) -> Result<Option<(Entry, bool)>, NotConfigured> {
        let mut transaction = self.pool.begin().await?;
        lock(&mut transaction, edit.tenant).await?;
        let current: Option<i64> = sqlx::query_scalar("SELECT version FROM configuration WHERE tenant = $1 AND kind = $2 AND name = $3")
            .bind(edit.tenant)
            .bind(edit.kind.as_str())
            .bind(edit.name)
            .fetch_optional(&mut *transaction)
            .await?;
        if let Some(expected) = edit.expected.filter(|expected| *expected != current.unwrap_or(0)) {
            return Err(NotConfigured::Stale { expected, current: current.unwrap_or(0) });
        }
        let Some(document) = &edit.document else {
            current.ok_or(NotConfigured::Missing)?;
            remove(&mut transaction, edit).await?;
            checked(&mut transaction, edit.tenant).await?;
            transaction.commit().await?;
            return Ok(None);
        };
        let entry = put(&mut transaction, edit, document).await?;
        if let Some(secret) = secret {
            keep_secret(&mut transaction, edit.tenant, edit.name, &secret).await?;
        }
        checked(&mut transaction, edit.tenant).await?;
        transaction.commit().await?;
        Ok(Some((entry, current.is_none())))
    }

    /// Replaces all that a tenant configured, if it is right. Secrets of webhooks that stay are kept unless new ones
    /// are given.
    pub async fn configure_all(
        &self,
        tenant: &str,
        whole: &Configuration,
        secrets: &[(String, Reseal)],
        by: &str,
    ) -> Result<(), NotConfigured> {
        let mistakes = whole.mistakes();
        if !mistakes.is_empty() {
            return Err(NotConfigured::Wrong(mistakes));
        }
        let mut transaction = self.pool.begin().await?;
        lock(&mut transaction, tenant).await?;
        let before: Vec<(String, String, Json<Value>)> = sqlx::query_as("SELECT kind, name, document FROM configuration WHERE tenant = $1")
            .bind(tenant)
            .fetch_all(&mut *transaction)
            .await?;
        let value = serde_json::to_value(whole).map_err(Failure::fatal)?;
        for kind in Kind::ALL {
            let wanted: Map<String, Value> = match kind {
                Kind::Route => Map::from_iter([(ROUTES.to_owned(), value[ROUTES].clone())]),
                _ => value[kind.as_str()].as_object().cloned().unwrap_or_default(),
            };
            for (_, name, _) in before.iter().filter(|(of, name, _)| of == kind.as_str() && !wanted.contains_key(name)) {
                remove(&mut transaction, &Edit { tenant, kind, name, document: None, expected: None, by }).await?;
            }
            for (name, document) in &wanted {
                let same = before.iter().any(|(of, is, was)| of == kind.as_str() && is == name && was.0 == *document);
                if !same {
                    put(&mut transaction, &Edit { tenant, kind, name, document: None, expected: None, by }, document).await?;
                }
            }
        }
        for (webhook, secret) in secrets {
            keep_secret(&mut transaction, tenant, webhook, secret).await?;
        }
        checked(&mut transaction, tenant).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// What is sealed for a webhook.
    pub async fn webhook_secret(&self, tenant: &str, webhook: &str) -> Result<Option<Sealed>, sqlx::Error> {
        sqlx::query_scalar("SELECT sealed FROM webhook_secret WHERE tenant = $1 AND webhook = $2")
            .bind(tenant)
            .bind(webhook)
            .fetch_optional(&self.pool)
            .await
    }

    /// Replaces what is sealed for a webhook, if it still is what it was; false when someone else was faster.
    pub async fn replace_webhook_secret(&self, tenant: &str, webhook: &str, was: &[u8], sealed: &[u8]) -> Result<bool, sqlx::Error> {
        let replaced = sqlx::query("UPDATE webhook_secret SET sealed = $4 WHERE tenant = $1 AND webhook = $2 AND sealed = $3");
        let replaced = replaced.bind(tenant).bind(webhook).bind(was).bind(sealed).execute(&self.pool).await?;
        Ok(replaced.rows_affected() == 1)
    }

    /// (tenant, webhook, sealed) of all tenants.
    pub async fn webhook_secrets(&self) -> Result<Vec<(String, String, Sealed)>, sqlx::Error> {
        sqlx::query_as("SELECT tenant, webhook, sealed FROM webhook_secret").fetch_all(&self.pool).await
    }

    pub async fn tenants(&self) -> Result<Vec<String>, sqlx::Error> {
        sqlx::query_scalar("SELECT DISTINCT tenant FROM configuration ORDER BY tenant").fetch_all(&self.pool).await
    }
}

/// One change of a tenant's configuration at a time.
async fn lock(transaction: &mut Transaction<'_, Postgres>, tenant: &str) -> Result<(), sqlx::Error> {
    let lock = sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('configuration of ' || $1, 0))");
    lock.bind(tenant).execute(&mut **transaction).await.map(drop)
}

async fn put(transaction: &mut Transaction<'_, Postgres>, edit: &Edit<'_>, document: &Value) -> Result<Entry, sqlx::Error> {
    if Kind::CHANNELS.contains(&edit.kind) {
        // Whoever saves an endpoint wants it to be used: what a 410 disabled is tried again.
        sqlx::query(
            "INSERT INTO delivery_endpoint (tenant, kind, name) VALUES ($1, $2, $3)
             ON CONFLICT (tenant, kind, name) DO UPDATE SET disabled_at = NULL, failures = 0, open_until = NULL",
        )
        .bind(edit.tenant)
        .bind(edit.kind.as_str())
        .bind(edit.name)
        .execute(&mut **transaction)
        .await?;
    }
    sqlx::query_as(
        "INSERT INTO configuration AS c (tenant, kind, name, document, updated_by) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (tenant, kind, name) DO UPDATE
         SET document = EXCLUDED.document, version = c.version + 1, updated_at = now(), updated_by = EXCLUDED.updated_by
         RETURNING *",
    )
    .bind(edit.tenant)
    .bind(edit.kind.as_str())
    .bind(edit.name)
    .bind(Json(document))
    .bind(edit.by)
    .fetch_one(&mut **transaction)
    .await
}

async fn remove(transaction: &mut Transaction<'_, Postgres>, edit: &Edit<'_>) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM configuration WHERE tenant = $1 AND kind = $2 AND name = $3")
        .bind(edit.tenant)
        .bind(edit.kind.as_str())
        .bind(edit.name)
        .execute(&mut **transaction)
        .await?;
    let leftovers: &[&str] = match edit.kind {
        Kind::Webhook => &[
            "DELETE FROM webhook_secret WHERE tenant = $1 AND webhook = $2",
            "DELETE FROM delivery_endpoint WHERE tenant = $1 AND kind = 'webhooks' AND name = $2",
            "UPDATE delivery SET state = 'FAILED', finished_at = now(), last_error = 'the webhook was removed'
             WHERE tenant = $1 AND kind = 'webhooks' AND name = $2 AND state = 'PENDING'",
        ],
        Kind::Email => &[
            "DELETE FROM delivery_endpoint WHERE tenant = $1 AND kind = 'emails' AND name = $2",
            "UPDATE delivery SET state = 'FAILED', finished_at = now(), last_error = 'the e-mail was removed'
             WHERE tenant = $1 AND kind = 'emails' AND name = $2 AND state = 'PENDING'",
        ],
        Kind::Receiver => &[
            "DELETE FROM receiver_pace WHERE tenant = $1 AND receiver = $2",
            "DELETE FROM held_notification WHERE tenant = $1 AND receiver = $2",
            "DELETE FROM heartbeat WHERE tenant = $1 AND receiver = $2",
        ],
        _ => &[],
    };
    for statement in leftovers {
        sqlx::query(*statement).bind(edit.tenant).bind(edit.name).execute(&mut **transaction).await?;
    }
    Ok(())
}

async fn keep_secret(
    transaction: &mut Transaction<'_, Postgres>,
    tenant: &str,
    webhook: &str,
    secret: &Reseal,
) -> Result<(), NotConfigured> {
    let keep = match secret.was {
        Some(_) => "UPDATE webhook_secret SET sealed = $3 WHERE tenant = $1 AND webhook = $2 AND sealed = $4",
        None => "INSERT INTO webhook_secret (tenant, webhook, sealed) SELECT $1, $2, $3 WHERE $4::bytea IS NULL ON CONFLICT DO NOTHING",
    };
    let kept = sqlx::query(keep).bind(tenant).bind(webhook).bind(&secret.sealed).bind(&secret.was).execute(&mut **transaction).await?;
    if kept.rows_affected() == 0 { Err(NotConfigured::SecretChanged(webhook.to_owned())) } else { Ok(()) }
}

/// The whole as it now is, if it is right.
async fn checked(transaction: &mut Transaction<'_, Postgres>, tenant: &str) -> Result<(), NotConfigured> {
    let mistakes = load(transaction, tenant).await?.mistakes();
    if !mistakes.is_empty() {
        return Err(NotConfigured::Wrong(mistakes));
    }
    // Heartbeats follow the receivers that ask for them.
    for statement in [
        "INSERT INTO configuration_version AS v (tenant) VALUES ($1) ON CONFLICT (tenant) DO UPDATE SET version = v.version + 1",
        "DELETE FROM heartbeat h WHERE tenant = $1 AND NOT EXISTS (SELECT FROM configuration c
         WHERE c.tenant = h.tenant AND c.kind = 'receivers' AND c.name = h.receiver AND c.document @> '{\"heartbeat\": true}')",
        "INSERT INTO heartbeat (tenant, receiver, next_at) SELECT tenant, name, now() FROM configuration
         WHERE tenant = $1 AND kind = 'receivers' AND document @> '{\"heartbeat\": true}' ON CONFLICT DO NOTHING",
    ] {
        sqlx::query(statement).bind(tenant).execute(&mut **transaction).await?;
    }
    Ok(())
}

async fn load(connection: &mut PgConnection, tenant: &str) -> Result<Configuration, Failure> {
    let rows: Vec<(String, String, Json<Value>)> = sqlx::query_as("SELECT kind, name, document FROM configuration WHERE tenant = $1")
        .bind(tenant)
        .fetch_all(connection)
        .await
        .map_err(|error| classify(&error))?;
    let mut whole = json!({});
    for (kind, name, Json(document)) in rows {
        if kind == ROUTES {
            whole[ROUTES] = document;
        } else {
            whole[kind][name] = document;
        }
    }
    serde_json::from_value(whole).map_err(|error| Failure::transient(format!("the configuration of {tenant} cannot be read: {error}")))
}
