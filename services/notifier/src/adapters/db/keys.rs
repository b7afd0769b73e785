//! API keys. The key itself is known only to its holder; here is its SHA-256.

use sha2::{Digest as _, Sha256};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
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

impl FromRow<'_, PgRow> for KeyRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            principal: principal(row)?,
            created_at: row.try_get("created_at")?,
            expires_at: row.try_get("expires_at")?,
            revoked_at: row.try_get("revoked_at")?,
        })
    }
}

/// Conditions of a key that is good now.
pub(super) const IS_GOOD: &str = "revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())";

impl Store {
    /// Adds a key. One that is known already stays as it is: who revoked it does not get it back by a restart.
    pub async fn add_key(&self, secret: &str, key: &NewKey) -> Result<Uuid, sqlx::Error> {
        let key_id = Uuid::now_v7();
        let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.as_str()).collect();
        sqlx::query(
            "INSERT INTO api_key (key_id, key_hash, tenant, name, scopes, expires_at) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (key_hash) DO NOTHING",
        )
        .bind(key_id)
        .bind(hash(secret))
        .bind(&key.tenant)
        .bind(&key.name)
        .bind(scopes)
        .bind(key.expires_at)
        .execute(&self.pool)
        .await?;
        Ok(key_id)
    }

    /// Whose key this is, if it is good.
    pub async fn authenticate(&self, secret: &str) -> Result<Option<Principal>, sqlx::Error> {
        let query = sqlx::AssertSqlSafe(format!("SELECT * FROM api_key WHERE key_hash = $1 AND {IS_GOOD}"));
        let row = sqlx::query(query).bind(hash(secret)).fetch_optional(&self.pool).await?;
        row.as_ref().map(principal).transpose()
    }

    /// Whether a key that opened a stream is still good.
    pub async fn is_good(&self, key_id: Uuid) -> Result<bool, sqlx::Error> {
        let query = sqlx::AssertSqlSafe(format!("SELECT EXISTS (SELECT FROM api_key WHERE key_id = $1 AND {IS_GOOD})"));
        sqlx::query_scalar(query).bind(key_id).fetch_one(&self.pool).await
    }

    pub async fn keys(&self) -> Result<Vec<KeyRow>, sqlx::Error> {
        sqlx::query_as("SELECT * FROM api_key ORDER BY created_at").fetch_all(&self.pool).await
    }

    /// Revokes a key; false when there is none, or it was revoked before.
    pub async fn revoke_key(&self, key_id: Uuid) -> Result<bool, sqlx::Error> {
        let revoked = sqlx::query("UPDATE api_key SET revoked_at = now() WHERE key_id = $1 AND revoked_at IS NULL");
        Ok(revoked.bind(key_id).execute(&self.pool).await?.rows_affected() == 1)
    }
}

pub(super) fn principal(row: &PgRow) -> Result<Principal, sqlx::Error> {
    let scopes: Vec<String> = row.try_get("scopes")?;
    Ok(Principal {
        key_id: row.try_get("key_id")?,
        name: row.try_get("name")?,
        tenant: row.try_get("tenant")?,
        // A scope of a later release grants nothing here.
        scopes: scopes.iter().filter_map(|scope| scope.parse().ok()).collect(),
        until: None,
    })
}

pub(super) fn hash(secret: &str) -> Vec<u8> {
    Sha256::digest(secret).to_vec()
}
