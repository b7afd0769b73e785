//! Tickets: what a browser's `EventSource`, which cannot send headers, opens streams with.

use std::time::Duration;

use sqlx::types::Json;
use time::OffsetDateTime;

use super::Store;
use super::keys::{hash, of_good_keys, principal};
use super::rows::{Symbol, date};
use crate::domain::access::Principal;
use crate::domain::symbol as text_of;
use crate::domain::watched::Watched;

/// Query parameters of the stream a ticket opens.
pub(super) type Pairs = Vec<(String, String)>;

/// A ticket that was recognised.
pub struct OpenedTicket {
    pub principal: Principal,
    pub watched: Watched,
    pub filter: Pairs,
}

impl Store {
    /// Adds a ticket that is good for `life`; forgets what has expired.
    pub async fn add_ticket(
        &self,
        ticket: &str,
        of: &Principal,
        watched: Watched,
        filter: &Pairs,
        life: Duration,
    ) -> Result<OffsetDateTime, sqlx::Error> {
        sqlx::query!("DELETE FROM stream_ticket WHERE good_until < now()").execute(&self.pool).await?;
        sqlx::query_scalar!(
            "INSERT INTO stream_ticket (ticket_hash, key_id, filter, good_until, stream, principal, ends_at)
             VALUES ($1, $2, $3, least(now() + make_interval(secs => $4), $7), $5, $6, $7) RETURNING good_until",
            hash(ticket),
            of.until.is_none().then_some(of.key_id),
            Json(filter) as Json<&Pairs>,
            life.as_secs_f64(),
            text_of(&watched),
            of.until.map(|_| Json(of)) as Option<Json<&Principal>>,
            of.until.map(date)
        )
        .fetch_one(&self.pool)
        .await
    }

    /// Uses a ticket: it is then good for `life` from now, but no longer than the token it was made with. `None` when it has
    /// expired or its key is no longer good.
    pub async fn use_ticket(&self, ticket: &str, life: Duration) -> Result<Option<OpenedTicket>, sqlx::Error> {
        let row = of_good_keys!(
            query,
            "UPDATE stream_ticket t SET good_until = least(now() + make_interval(secs => $2), t.ends_at)
             FROM stream_ticket s LEFT JOIN api_key k ON k.key_id = s.key_id AND",
            r#"
             WHERE s.ticket_hash = $1 AND t.ticket_hash = s.ticket_hash AND t.good_until > now()
               AND (k.key_id IS NOT NULL OR s.principal IS NOT NULL)
             RETURNING t.filter AS "filter: Json<Pairs>", t.stream AS "stream: Symbol<Watched>", t.principal AS "of_token: Json<Principal>",
                       k.key_id AS "key_id?", k.name AS "name?", k.tenant AS "tenant?", k.scopes AS "scopes?""#,
            hash(ticket),
            life.as_secs_f64()
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.and_then(|row| {
            let of_key = || Some(principal(row.key_id?, row.name?, row.tenant?, &row.scopes?));
            let principal = row.of_token.map(|Json(of_token)| of_token).or_else(of_key)?;
            Some(OpenedTicket { principal, watched: row.stream.0, filter: row.filter.0 })
        }))
    }
}
