//! What is sealed for webhooks. Nothing takes the place of what someone else sealed meanwhile.

use sqlx::{Postgres, Transaction};

use super::{NotConfigured, Store};

/// What of a webhook is secret.
pub(super) type Sealed = Vec<u8>;

/// What is to be sealed for a webhook from now on, if what is now still is what it was; `None`: nothing.
#[derive(Clone, Debug)]
pub struct Reseal {
    pub was: Option<Sealed>,
    pub sealed: Sealed,
}

impl Store {
    /// What is sealed for a webhook.
    pub async fn webhook_secret(&self, tenant: &str, webhook: &str) -> Result<Option<Sealed>, sqlx::Error> {
        sqlx::query_scalar!("SELECT sealed FROM webhook_secret WHERE tenant = $1 AND webhook = $2", tenant, webhook)
            .fetch_optional(&self.pool)
            .await
    }

    /// Replaces what is sealed for a webhook, if it still is what it was; false when someone else was faster.
    pub async fn replace_webhook_secret(&self, tenant: &str, webhook: &str, was: &[u8], sealed: &[u8]) -> Result<bool, sqlx::Error> {
        let replaced = sqlx::query!(
            "UPDATE webhook_secret SET sealed = $4 WHERE tenant = $1 AND webhook = $2 AND sealed = $3",
            tenant,
            webhook,
            was,
            sealed
        );
        Ok(replaced.execute(&self.pool).await?.rows_affected() == 1)
    }

    /// (tenant, webhook, sealed) of all tenants.
    pub async fn webhook_secrets(&self) -> Result<Vec<(String, String, Sealed)>, sqlx::Error> {
        sqlx::query!("SELECT tenant, webhook, sealed FROM webhook_secret")
            .map(|row| (row.tenant, row.webhook, row.sealed))
            .fetch_all(&self.pool)
            .await
    }
}

/// Puts what is to be sealed in the place of what was.
pub(super) async fn keep(
    transaction: &mut Transaction<'_, Postgres>,
    tenant: &str,
    webhook: &str,
    secret: &Reseal,
) -> Result<(), NotConfigured> {
    let keep = match &secret.was {
        Some(was) => sqlx::query!(
            "UPDATE webhook_secret SET sealed = $3 WHERE tenant = $1 AND webhook = $2 AND sealed = $4",
            tenant,
            webhook,
            secret.sealed,
            was
        ),
        None => sqlx::query!(
            "INSERT INTO webhook_secret (tenant, webhook, sealed) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            tenant,
            webhook,
            secret.sealed
        ),
    };
    let kept = keep.execute(&mut **transaction).await?;
    if kept.rows_affected() == 0 { Err(NotConfigured::SecretChanged(webhook.to_owned())) } else { Ok(()) }
}
