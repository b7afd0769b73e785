//! The secret that signs cursors, where no file gives one: made once, shared by all replicas.

use super::Store;

impl Store {
    /// The stored secret; `proposed` becomes it when there is none.
    pub async fn signing_secret(&self, proposed: [u8; 32]) -> Result<Vec<u8>, sqlx::Error> {
        sqlx::query!("INSERT INTO signing_secret (secret) VALUES ($1) ON CONFLICT DO NOTHING", proposed.as_slice())
            .execute(&self.pool)
            .await?;
        sqlx::query_scalar!("SELECT secret FROM signing_secret").fetch_one(&self.pool).await
    }
}
