//! Who sends to which endpoint. A lease gives an endpoint to one replica, so that its rate, its concurrency and its
//! breaker hold whatever the number of replicas; it is good by the database's clock, and its epoch fences who lost it.

use std::collections::HashMap;
use std::time::Duration;

use events::Timestamp;
use sqlx::Row;
use uuid::Uuid;

use super::Store;
use super::rows::{date, optional_timestamp, timestamp};
use crate::domain::breaker::Breaker;

/// An endpoint in the hands of one owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub tenant: String,
    pub webhook: String,
    pub owner: Uuid,
    pub epoch: i64,
}

/// A webhook's health.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    pub breaker: Breaker,
    pub disabled_at: Option<Timestamp>,
    /// When it was looked at, by the database's clock.
    pub now: Timestamp,
}

/// A delivery whose next attempt is due.
#[derive(Clone, Debug)]
pub struct Due {
    pub delivery_id: Uuid,
    pub body: String,
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
        let rows = sqlx::query(
            "UPDATE webhook_endpoint e SET lease_owner = $1, lease_until = now() + make_interval(secs => $2), epoch = epoch + 1
             FROM (SELECT tenant, webhook FROM webhook_endpoint w
                   WHERE disabled_at IS NULL AND (open_until IS NULL OR open_until <= now())
                     AND (lease_until IS NULL OR lease_until <= now())
                     AND EXISTS (SELECT FROM webhook_delivery d WHERE d.tenant = w.tenant AND d.webhook = w.webhook
                                 AND d.state = 'PENDING' AND d.next_attempt_at <= now())
                   LIMIT $3 FOR UPDATE SKIP LOCKED) t
             WHERE e.tenant = t.tenant AND e.webhook = t.webhook
             RETURNING e.tenant, e.webhook, e.epoch, e.failures, e.open_until",
        )
        .bind(owner)
        .bind(lease.as_secs_f64())
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        let taken = |row: sqlx::postgres::PgRow| {
            let lease = Lease { tenant: row.try_get("tenant")?, webhook: row.try_get("webhook")?, owner, epoch: row.try_get("epoch")? };
            Ok((lease, breaker(&row)?))
        };
        rows.into_iter().map(taken).collect()
    }

    /// Keeps a lease and says what time it is; `None` when it was lost.
    pub async fn renew(&self, lease: &Lease, good_for: Duration) -> Result<Option<Timestamp>, sqlx::Error> {
        let renewed = sqlx::query(
            "UPDATE webhook_endpoint SET lease_until = now() + make_interval(secs => $5)
             WHERE tenant = $1 AND webhook = $2 AND lease_owner = $3 AND epoch = $4 AND lease_until > now() AND disabled_at IS NULL
             RETURNING now() AS now",
        );
        let renewed = bound(renewed, lease).bind(good_for.as_secs_f64()).fetch_optional(&self.pool).await?;
        renewed.map(|row| timestamp(&row, "now")).transpose()
    }

    /// Gives an endpoint back.
    pub async fn release(&self, lease: &Lease) -> Result<(), sqlx::Error> {
        let released = sqlx::query(
            "UPDATE webhook_endpoint SET lease_owner = NULL, lease_until = NULL
             WHERE tenant = $1 AND webhook = $2 AND lease_owner = $3 AND epoch = $4",
        );
        bound(released, lease).execute(&self.pool).await.map(drop)
    }

    /// Up to `limit` deliveries whose attempt is due, the longest due first, but those under way.
    pub async fn due(&self, lease: &Lease, under_way: &[Uuid], limit: i64) -> Result<Vec<Due>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT delivery_id, body, attempts, give_up_at FROM webhook_delivery
             WHERE tenant = $1 AND webhook = $2 AND state = 'PENDING' AND next_attempt_at <= now() AND NOT delivery_id = ANY($3)
             ORDER BY next_attempt_at, delivery_id LIMIT $4",
        )
        .bind(&lease.tenant)
        .bind(&lease.webhook)
        .bind(under_way)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        let due = |row: sqlx::postgres::PgRow| {
            Ok(Due {
                delivery_id: row.try_get("delivery_id")?,
                body: row.try_get("body")?,
                attempts: row.try_get::<i32, _>("attempts")?.unsigned_abs(),
                give_up_at: timestamp(&row, "give_up_at")?,
            })
        };
        rows.into_iter().map(due).collect()
    }

    /// Notes an attempt, and the endpoint's health after it; false when the lease was lost: then nothing is noted, and
    /// the new owner repeats the delivery.
    pub async fn attempted(&self, lease: &Lease, breaker: &Breaker, ended: &Ended) -> Result<bool, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let health = sqlx::query(
            "UPDATE webhook_endpoint SET failures = $5, open_until = $6, disabled_at = CASE WHEN $7 THEN now() ELSE disabled_at END
             WHERE tenant = $1 AND webhook = $2 AND lease_owner = $3 AND epoch = $4",
        );
        let health = bound(health, lease)
            .bind(breaker.failures.min(1_000_000) as i32)
            .bind(breaker.open_until.map(date))
            .bind(ended.gone)
            .execute(&mut *transaction)
            .await?;
        if health.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query(
            "INSERT INTO webhook_attempt (delivery_id, attempt, at, duration_ms, status, error) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (delivery_id, attempt) DO NOTHING",
        )
        .bind(ended.delivery_id)
        .bind(ended.attempt as i32)
        .bind(date(ended.at))
        .bind(ended.duration.as_millis() as i64)
        .bind(ended.status.map(i32::from))
        .bind(&ended.error)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "UPDATE webhook_delivery SET attempts = $2, state = $3, next_attempt_at = now() + make_interval(secs => $4),
                    finished_at = CASE WHEN $3 = 'PENDING' THEN NULL ELSE now() END, last_status = $5, last_error = $6
             WHERE delivery_id = $1",
        )
        .bind(ended.delivery_id)
        .bind(ended.attempt as i32)
        .bind(ended.state)
        .bind(ended.next_in.as_secs_f64())
        .bind(ended.status.map(i32::from))
        .bind(&ended.error)
        .execute(&mut *transaction)
        .await?;
        if ended.gone {
            sqlx::query(
                "UPDATE webhook_delivery SET state = 'FAILED', finished_at = now(), last_error = 'the webhook is disabled'
                 WHERE tenant = $1 AND webhook = $2 AND state = 'PENDING'",
            )
            .bind(&lease.tenant)
            .bind(&lease.webhook)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// A webhook's health.
    pub async fn endpoint(&self, tenant: &str, webhook: &str) -> Result<Option<Endpoint>, sqlx::Error> {
        let row = sqlx::query("SELECT *, now() AS now FROM webhook_endpoint WHERE tenant = $1 AND webhook = $2");
        let row = row.bind(tenant).bind(webhook).fetch_optional(&self.pool).await?;
        row.map(|row| endpoint(&row)).transpose()
    }

    /// The health of every webhook of a tenant, by name.
    pub async fn endpoints(&self, tenant: &str) -> Result<HashMap<String, Endpoint>, sqlx::Error> {
        let rows = sqlx::query("SELECT *, now() AS now FROM webhook_endpoint WHERE tenant = $1").bind(tenant).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok((row.try_get("webhook")?, endpoint(row)?))).collect()
    }
}

fn endpoint(row: &sqlx::postgres::PgRow) -> Result<Endpoint, sqlx::Error> {
    Ok(Endpoint { breaker: breaker(row)?, disabled_at: optional_timestamp(row, "disabled_at")?, now: timestamp(row, "now")? })
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

/// The first four parameters: whose lease it is.
fn bound<'q>(query: Query<'q>, lease: &'q Lease) -> Query<'q> {
    query.bind(&lease.tenant).bind(&lease.webhook).bind(lease.owner).bind(lease.epoch)
}

fn breaker(row: &sqlx::postgres::PgRow) -> Result<Breaker, sqlx::Error> {
    let failures: i32 = row.try_get("failures")?;
    Ok(Breaker::new(failures.unsigned_abs(), optional_timestamp(row, "open_until")?))
}
