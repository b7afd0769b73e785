//! Tickets: what a browser's `EventSource`, which cannot send headers, opens streams with.

use std::time::Duration;

use sqlx::Row;
use sqlx::types::Json;
use time::OffsetDateTime;

use super::Store;
use super::keys::{hash, principal};
use crate::domain::access::Principal;

/// Query parameters of the stream a ticket opens.
pub(super) type Pairs = Vec<(String, String)>;

/// A ticket that was recognised.
pub struct OpenedTicket {
    pub principal: Principal,
    pub filter: Pairs,
}

impl Store {
    /// Adds a ticket that is good for `life`; forgets what has expired.
    pub async fn add_ticket(&self, ticket: &str, of: &Principal, filter: &Pairs, life: Duration) -> Result<OffsetDateTime, sqlx::Error> {
        sqlx::query("DELETE FROM stream_ticket WHERE good_until < now()").execute(&self.pool).await?;
        sqlx::query_scalar(
            "INSERT INTO stream_ticket (ticket_hash, key_id, filter, good_until)
             VALUES ($1, $2, $3, now() + make_interval(secs => $4)) RETURNING good_until",
        )
        .bind(hash(ticket))
        .bind(of.key_id)
        .bind(Json(filter))
        .bind(life.as_secs_f64())
        .fetch_one(&self.pool)
        .await
    }

    /// Uses a ticket: it is then good for `life` from now. `None` when it has expired or its key is no longer good.
    pub async fn use_ticket(&self, ticket: &str, life: Duration) -> Result<Option<OpenedTicket>, sqlx::Error> {
        let row = sqlx::query(
            "UPDATE stream_ticket t SET good_until = now() + make_interval(secs => $2)
             FROM api_key k
             WHERE t.ticket_hash = $1 AND t.good_until > now() AND k.key_id = t.key_id
               AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
             RETURNING t.filter, k.*",
        )
        .bind(hash(ticket))
        .bind(life.as_secs_f64())
        .fetch_optional(&self.pool)
        .await?;
        let opened = |row| Ok(OpenedTicket { principal: principal(&row)?, filter: row.try_get::<Json<Pairs>, _>("filter")?.0 });
        row.map(opened).transpose()
    }
}
