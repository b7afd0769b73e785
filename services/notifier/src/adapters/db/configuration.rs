//! What tenants configure. Every change is checked against all the rest, under one lock per tenant.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value, json};
use sqlx::{PgConnection, Postgres, Transaction};
use stream::Failure;

use super::entries::{self, Entry};
use super::webhook_secrets::{self, Reseal};
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
    Scene,
}

/// The one name of a tenant's tree of routes.
pub const ROUTES: &str = "routes";

impl Kind {
    pub const ALL: [Self; 8] =
        [Self::Receiver, Self::Route, Self::Silence, Self::Escalation, Self::MuteTime, Self::Webhook, Self::Email, Self::Scene];
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
            Self::Scene => "scenes",
        }
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
        let version = sqlx::query_scalar!("SELECT version FROM configuration_version WHERE tenant = $1", tenant)
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

    /// Makes one change if the whole is right afterwards; returns the entry, and whether it is new. What is sealed for a
    /// webhook is kept with it.
    pub async fn configure(&self, edit: &Edit<'_>, secret: Option<Reseal>) -> Result<Option<(Entry, bool)>, NotConfigured> {
        let mut transaction = self.pool.begin().await?;
        lock(&mut transaction, edit.tenant).await?;
        let current = sqlx::query_scalar!(
            "SELECT version FROM configuration WHERE tenant = $1 AND kind = $2 AND name = $3",
            edit.tenant,
            edit.kind.as_str(),
            edit.name
        )
        .fetch_optional(&mut *transaction)
        .await?;
        if let Some(expected) = edit.expected.filter(|expected| *expected != current.unwrap_or(0)) {
            return Err(NotConfigured::Stale { expected, current: current.unwrap_or(0) });
        }
        let Some(document) = &edit.document else {
            current.ok_or(NotConfigured::Missing)?;
            entries::remove(&mut transaction, edit).await?;
            checked(&mut transaction, edit.tenant).await?;
            transaction.commit().await?;
            return Ok(None);
        };
        let entry = entries::put(&mut transaction, edit, document).await?;
        if let Some(secret) = secret {
            webhook_secrets::keep(&mut transaction, edit.tenant, edit.name, &secret).await?;
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
        let before = all(&mut transaction, tenant).await?;
        let value = serde_json::to_value(whole).map_err(Failure::fatal)?;
        for kind in Kind::ALL {
            let wanted: Map<String, Value> = match kind {
                Kind::Route => Map::from_iter([(ROUTES.to_owned(), value[ROUTES].clone())]),
                _ => value[kind.as_str()].as_object().cloned().unwrap_or_default(),
            };
            let before: Vec<&Stored> = before.iter().filter(|entry| entry.kind == kind.as_str()).collect();
            for Stored { name, .. } in before.iter().filter(|entry| !wanted.contains_key(&entry.name)) {
                entries::remove(&mut transaction, &Edit { tenant, kind, name, document: None, expected: None, by }).await?;
            }
            for (name, document) in &wanted {
                let same = before.iter().any(|entry| entry.name == *name && entry.document == *document);
                if !same {
                    entries::put(&mut transaction, &Edit { tenant, kind, name, document: None, expected: None, by }, document).await?;
                }
            }
        }
        for (webhook, secret) in secrets {
            webhook_secrets::keep(&mut transaction, tenant, webhook, secret).await?;
        }
        checked(&mut transaction, tenant).await?;
        transaction.commit().await?;
        Ok(())
    }

    pub async fn tenants(&self) -> Result<Vec<String>, sqlx::Error> {
        sqlx::query_scalar!("SELECT DISTINCT tenant FROM configuration ORDER BY tenant").fetch_all(&self.pool).await
    }
}

/// One change of a tenant's configuration at a time.
async fn lock(transaction: &mut Transaction<'_, Postgres>, tenant: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended('configuration of ' || $1, 0))", tenant)
        .execute(&mut **transaction)
        .await
        .map(drop)
}

/// The whole as it now is, if it is right.
async fn checked(transaction: &mut Transaction<'_, Postgres>, tenant: &str) -> Result<(), NotConfigured> {
    let mistakes = load(transaction, tenant).await?.mistakes();
    if !mistakes.is_empty() {
        return Err(NotConfigured::Wrong(mistakes));
    }
    sqlx::query!(
        "INSERT INTO configuration_version AS v (tenant) VALUES ($1) ON CONFLICT (tenant) DO UPDATE SET version = v.version + 1",
        tenant
    )
    .execute(&mut **transaction)
    .await?;
    // Heartbeats follow the receivers that ask for them.
    sqlx::query!(
        r#"DELETE FROM heartbeat h WHERE tenant = $1 AND NOT EXISTS (SELECT FROM configuration c
           WHERE c.tenant = h.tenant AND c.kind = 'receivers' AND c.name = h.receiver AND c.document @> '{"heartbeat": true}')"#,
        tenant
    )
    .execute(&mut **transaction)
    .await?;
    sqlx::query!(
        r#"INSERT INTO heartbeat (tenant, receiver, next_at) SELECT tenant, name, now() FROM configuration
           WHERE tenant = $1 AND kind = 'receivers' AND document @> '{"heartbeat": true}' ON CONFLICT DO NOTHING"#,
        tenant
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// An entry among all of a tenant's.
struct Stored {
    kind: String,
    name: String,
    document: Value,
}

async fn all(connection: &mut PgConnection, tenant: &str) -> Result<Vec<Stored>, sqlx::Error> {
    sqlx::query_as!(Stored, "SELECT kind, name, document FROM configuration WHERE tenant = $1", tenant).fetch_all(connection).await
}

async fn load(connection: &mut PgConnection, tenant: &str) -> Result<Configuration, Failure> {
    let mut whole = json!({});
    for Stored { kind, name, document } in all(connection, tenant).await.map_err(|error| classify(&error))? {
        if kind == ROUTES {
            whole[ROUTES] = document;
        } else {
            whole[kind][name] = document;
        }
    }
    serde_json::from_value(whole).map_err(|error| Failure::transient(format!("the configuration of {tenant} cannot be read: {error}")))
}
