//! API keys. The key itself is known only to its holder; here is its SHA-256.

use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use uuid::Uuid;

use super::Store;
use crate::domain::access::{Principal, Scope};

/// A key to be.
#[derive(Clone, Debug)]
pub struct NewKey {
    pub tenant: String,
    pub name: String,
    pub scopes: Vec<Scope>,
    pub expires_at: Option<OffsetDateTime>,
}

/// A key as it is listed.
#[derive(Clone, Debug)]
pub struct KeyRow {
    pub principal: Principal,
    pub created_at: OffsetDateTime,
    pub expires_at: Option<OffsetDateTime>,
    pub revoked_at: Option<OffsetDateTime>,
}

/// A statement about keys that are good now: what is before that condition, what is behind, and its parameters.
macro_rules! of_good_keys {
    ($query:ident, $before:literal, $behind:literal, $($parameter:expr),+) => {
        sqlx::$query!($before + " revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())" + $behind, $($parameter),+)
    };
}
pub(super) use of_good_keys;

impl Store {
    /// Adds a key. One that is known already stays as it is: who revoked it does not get it back by a restart.
    pub async fn add_key(&self, secret: &str, key: &NewKey) -> Result<Uuid, sqlx::Error> {
        let key_id = Uuid::now_v7();
        let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.as_str()).collect();
        sqlx::query!(
            "INSERT INTO api_key (key_id, key_hash, tenant, name, scopes, expires_at) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (key_hash) DO NOTHING",
            key_id,
            hash(secret),
            key.tenant,
            key.name,
            &scopes as &[&str],
            key.expires_at
        )
        .execute(&self.pool)
        .await?;
        Ok(key_id)
    }

    /// Whose key this is, if it is good.
    pub async fn authenticate(&self, secret: &str) -> Result<Option<Principal>, sqlx::Error> {
        of_good_keys!(query, "SELECT key_id, name, tenant, scopes FROM api_key WHERE key_hash = $1 AND", "", hash(secret))
            .map(|row| principal(row.key_id, row.name, row.tenant, &row.scopes))
            .fetch_optional(&self.pool)
            .await
    }

    /// Whether a key that opened a stream is still good.
    pub async fn is_good(&self, key_id: Uuid) -> Result<bool, sqlx::Error> {
        of_good_keys!(query_scalar, "SELECT EXISTS (SELECT FROM api_key WHERE key_id = $1 AND", r#") AS "is_good!""#, key_id)
            .fetch_one(&self.pool)
            .await
    }

    pub async fn keys(&self) -> Result<Vec<KeyRow>, sqlx::Error> {
        sqlx::query!("SELECT key_id, name, tenant, scopes, created_at, expires_at, revoked_at FROM api_key ORDER BY created_at")
            .map(|row| KeyRow {
                principal: principal(row.key_id, row.name, row.tenant, &row.scopes),
                created_at: row.created_at,
                expires_at: row.expires_at,
                revoked_at: row.revoked_at,
            })
            .fetch_all(&self.pool)
            .await
    }

    /// Revokes a key; false when there is none, or it was revoked before.
    pub async fn revoke_key(&self, key_id: Uuid) -> Result<bool, sqlx::Error> {
        let revoked = sqlx::query!("UPDATE api_key SET revoked_at = now() WHERE key_id = $1 AND revoked_at IS NULL", key_id);
        Ok(revoked.execute(&self.pool).await?.rows_affected() == 1)
    }
}

pub(super) fn principal(key_id: Uuid, name: String, tenant: String, scopes: &[String]) -> Principal {
    // A scope of a later release grants nothing here.
    Principal { key_id, name, tenant, scopes: scopes.iter().filter_map(|scope| scope.parse().ok()).collect(), until: None }
}

pub(super) fn hash(secret: &str) -> Vec<u8> {
    Sha256::digest(secret).to_vec()
}
