//! Who sends to which endpoint. A lease gives an endpoint to one replica, so that its rate, its concurrency and its
//! breaker hold whatever the number of replicas; it is good by the database's clock, and its epoch fences who lost it.

use std::collections::HashMap;
use std::time::Duration;

use events::Timestamp;
use time::OffsetDateTime;
use uuid::Uuid;

use super::rows::date;
use super::{Kind, Store};
use crate::domain::breaker::{Breaker, THRESHOLD};

/// An endpoint in the hands of one owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub tenant: String,
    /// Webhooks or e-mails.
    pub kind: Kind,
    pub name: String,
    pub owner: Uuid,
    pub epoch: i64,
}

/// An endpoint's health.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    pub breaker: Breaker,
    pub disabled_at: Option<Timestamp>,
    /// When it was looked at, by the database's clock.
    pub now: Timestamp,
}

impl Endpoint {
    /// Of one that nothing was sent to yet it is `closed`.
    pub fn breaker_of(endpoint: Option<&Self>) -> &'static str {
        endpoint.map_or("closed", |endpoint| endpoint.breaker.state(endpoint.now).as_str())
    }
}

/// A delivery whose next attempt is due.
#[derive(Clone, Debug)]
pub struct Due {
    pub delivery_id: Uuid,
    pub body: String,
    /// Of an e-mail.
    pub recipient: Option<String>,
    /// Made so far.
    pub attempts: u32,
    pub give_up_at: Timestamp,
}

/// What became of an attempt.
#[derive(Clone, Debug)]
pub struct Ended {
    pub delivery_id: Uuid,
    /// From 1.
    pub attempt: u32,
    pub at: Timestamp,
    pub duration: Duration,
    pub status: Option<u16>,
    pub error: Option<String>,
    /// PENDING with the wait before the next attempt, else DELIVERED or FAILED.
    pub state: &'static str,
    pub next_in: Duration,
    /// The endpoint wants nothing more.
    pub gone: bool,
}

impl Store {
    /// Takes endpoints that have something due and nobody who sends it.
    pub async fn take_endpoints(&self, owner: Uuid, lease: Duration, limit: i64) -> Result<Vec<(Lease, Breaker)>, sqlx::Error> {
        sqlx::query!(
            "UPDATE delivery_endpoint e SET lease_owner = $1, lease_until = now() + make_interval(secs => $2), epoch = epoch + 1
             FROM (SELECT tenant, kind, name FROM delivery_endpoint w
                   WHERE disabled_at IS NULL AND (open_until IS NULL OR open_until <= now())
                     AND (lease_until IS NULL OR lease_until <= now()) AND kind = ANY($4)
                     AND EXISTS (SELECT FROM delivery d WHERE d.tenant = w.tenant AND d.kind = w.kind AND d.name = w.name
                                 AND d.state = 'PENDING' AND d.next_attempt_at <= now())
                   LIMIT $3 FOR UPDATE SKIP LOCKED) t
             WHERE e.tenant = t.tenant AND e.kind = t.kind AND e.name = t.name
             RETURNING e.tenant, e.kind, e.name, e.epoch, e.failures, e.open_until",
            owner,
            lease.as_secs_f64(),
            limit,
            &Kind::CHANNELS.map(Kind::as_str) as &[&str]
        )
        .map(|row| {
            let kind = if row.kind == Kind::Email.as_str() { Kind::Email } else { Kind::Webhook };
            (Lease { tenant: row.tenant, kind, name: row.name, owner, epoch: row.epoch }, breaker(row.failures, row.open_until))
        })
        .fetch_all(&self.pool)
        .await
    }

    /// How many endpoints fail again and again, whichever replica sends to them.
    pub async fn spared_endpoints(&self) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM delivery_endpoint WHERE disabled_at IS NULL AND failures >= $1"#,
            THRESHOLD.cast_signed()
        )
        .fetch_one(&self.pool)
        .await
    }

    /// Keeps a lease and says what time it is; `None` when it was lost.
    pub async fn renew(&self, lease: &Lease, good_for: Duration) -> Result<Option<Timestamp>, sqlx::Error> {
        let renewed = sqlx::query_scalar!(
            r#"UPDATE delivery_endpoint SET lease_until = now() + make_interval(secs => $6)
             WHERE tenant = $1 AND kind = $2 AND name = $3 AND lease_owner = $4 AND epoch = $5 AND lease_until > now()
               AND disabled_at IS NULL
             RETURNING now() AS "now!""#,
            lease.tenant,
            lease.kind.as_str(),
            lease.name,
            lease.owner,
            lease.epoch,
            good_for.as_secs_f64()
        );
        Ok(renewed.fetch_optional(&self.pool).await?.map(Timestamp::from))
    }

    /// Gives an endpoint back.
    pub async fn release(&self, lease: &Lease) -> Result<(), sqlx::Error> {
        sqlx::query!(
            "UPDATE delivery_endpoint SET lease_owner = NULL, lease_until = NULL
             WHERE tenant = $1 AND kind = $2 AND name = $3 AND lease_owner = $4 AND epoch = $5",
            lease.tenant,
            lease.kind.as_str(),
            lease.name,
            lease.owner,
            lease.epoch
        )
        .execute(&self.pool)
        .await
        .map(drop)
    }

    /// Up to `limit` deliveries whose attempt is due, the longest due first, but those under way.
    pub async fn due(&self, lease: &Lease, under_way: &[Uuid], limit: i64) -> Result<Vec<Due>, sqlx::Error> {
        sqlx::query!(
            "SELECT delivery_id, body, recipient, attempts, give_up_at FROM delivery
             WHERE tenant = $1 AND kind = $2 AND name = $3 AND state = 'PENDING' AND next_attempt_at <= now()
               AND NOT delivery_id = ANY($4)
             ORDER BY next_attempt_at, delivery_id LIMIT $5",
            lease.tenant,
            lease.kind.as_str(),
            lease.name,
            under_way,
            limit
        )
        .map(|row| Due {
            delivery_id: row.delivery_id,
            body: row.body,
            recipient: row.recipient,
            attempts: row.attempts.unsigned_abs(),
            give_up_at: row.give_up_at.into(),
        })
        .fetch_all(&self.pool)
        .await
    }

    /// Notes an attempt, and the endpoint's health after it; false when the lease was lost: then nothing is noted, and
    /// the new owner repeats the delivery.
    pub async fn attempted(&self, lease: &Lease, breaker: &Breaker, ended: &Ended) -> Result<bool, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let health = sqlx::query!(
            "UPDATE delivery_endpoint SET failures = $6, open_until = $7, disabled_at = CASE WHEN $8 THEN now() ELSE disabled_at END
             WHERE tenant = $1 AND kind = $2 AND name = $3 AND lease_owner = $4 AND epoch = $5",
            lease.tenant,
            lease.kind.as_str(),
            lease.name,
            lease.owner,
            lease.epoch,
            breaker.failures.min(1_000_000).cast_signed(),
            breaker.open_until.map(date),
            ended.gone
        )
        .execute(&mut *transaction)
        .await?;
        if health.rows_affected() == 0 {
            return Ok(false);
        }
        let (attempt, duration_ms, status) = (ended.attempt as i32, ended.duration.as_millis() as i64, ended.status.map(i32::from));
        sqlx::query!(
            "INSERT INTO delivery_attempt (delivery_id, attempt, at, duration_ms, status, error) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (delivery_id, attempt) DO NOTHING",
            ended.delivery_id,
            attempt,
            date(ended.at),
            duration_ms,
            status,
            ended.error
        )
        .execute(&mut *transaction)
        .await?;
        sqlx::query!(
            "UPDATE delivery SET attempts = $2, state = $3, next_attempt_at = now() + make_interval(secs => $4),
                    finished_at = CASE WHEN $3 = 'PENDING' THEN NULL ELSE now() END, last_status = $5, last_error = $6
             WHERE delivery_id = $1",
            ended.delivery_id,
            attempt,
            ended.state,
            ended.next_in.as_secs_f64(),
            status,
            ended.error
        )
        .execute(&mut *transaction)
        .await?;
        if ended.gone {
            sqlx::query!(
                "UPDATE delivery SET state = 'FAILED', finished_at = now(), last_error = 'the webhook is disabled'
                 WHERE tenant = $1 AND kind = $2 AND name = $3 AND state = 'PENDING'",
                lease.tenant,
                lease.kind.as_str(),
                lease.name
            )
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// An endpoint's health.
    pub async fn endpoint(&self, tenant: &str, kind: Kind, name: &str) -> Result<Option<Endpoint>, sqlx::Error> {
        sqlx::query!(
            r#"SELECT failures, open_until, disabled_at, now() AS "now!" FROM delivery_endpoint WHERE tenant = $1 AND kind = $2 AND name = $3"#,
            tenant,
            kind.as_str(),
            name
        )
        .map(|row| endpoint(row.failures, row.open_until, row.disabled_at, row.now))
        .fetch_optional(&self.pool)
        .await
    }

    /// The health of every endpoint of a kind, by name.
    pub async fn endpoints(&self, tenant: &str, kind: Kind) -> Result<HashMap<String, Endpoint>, sqlx::Error> {
        let endpoints = sqlx::query!(
            r#"SELECT name, failures, open_until, disabled_at, now() AS "now!" FROM delivery_endpoint WHERE tenant = $1 AND kind = $2"#,
            tenant,
            kind.as_str()
        )
        .map(|row| (row.name, endpoint(row.failures, row.open_until, row.disabled_at, row.now)));
        Ok(endpoints.fetch_all(&self.pool).await?.into_iter().collect())
    }
}

fn endpoint(failures: i32, open_until: Option<OffsetDateTime>, disabled_at: Option<OffsetDateTime>, now: OffsetDateTime) -> Endpoint {
    Endpoint { breaker: breaker(failures, open_until), disabled_at: disabled_at.map(Timestamp::from), now: now.into() }
}

fn breaker(failures: i32, open_until: Option<OffsetDateTime>) -> Breaker {
    Breaker::new(failures.unsigned_abs(), open_until.map(Timestamp::from))
}
