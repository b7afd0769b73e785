//! Who sends to which endpoint. A lease gives an endpoint to one replica, so that its rate, its concurrency and its
//! breaker hold whatever the number of replicas; it is good by the database's clock, and its epoch fences who lost it.

use std::collections::HashMap;
use std::time::Duration;

use events::Timestamp;
use sqlx::Row;
use uuid::Uuid;

use super::rows::{date, optional_timestamp, timestamp};
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
        let rows = sqlx::query(
            "UPDATE delivery_endpoint e SET lease_owner = $1, lease_until = now() + make_interval(secs => $2), epoch = epoch + 1
             FROM (SELECT tenant, kind, name FROM delivery_endpoint w
                   WHERE disabled_at IS NULL AND (open_until IS NULL OR open_until <= now())
                     AND (lease_until IS NULL OR lease_until <= now()) AND kind = ANY($4)
                     AND EXISTS (SELECT FROM delivery d WHERE d.tenant = w.tenant AND d.kind = w.kind AND d.name = w.name
                                 AND d.state = 'PENDING' AND d.next_attempt_at <= now())
                   LIMIT $3 FOR UPDATE SKIP LOCKED) t
             WHERE e.tenant = t.tenant AND e.kind = t.kind AND e.name = t.name
             RETURNING e.tenant, e.kind, e.name, e.epoch, e.failures, e.open_until",
        )
        .bind(owner)
        .bind(lease.as_secs_f64())
        .bind(limit)
        .bind(Kind::CHANNELS.map(Kind::as_str))
        .fetch_all(&self.pool)
        .await?;
        let taken = |row: sqlx::postgres::PgRow| {
            let kind: String = row.try_get("kind")?;
            let kind = if kind == Kind::Email.as_str() { Kind::Email } else { Kind::Webhook };
            let lease = Lease { tenant: row.try_get("tenant")?, kind, name: row.try_get("name")?, owner, epoch: row.try_get("epoch")? };
            Ok((lease, breaker(&row)?))
        };
        rows.into_iter().map(taken).collect()
    }

    /// How many endpoints fail again and again, whichever replica sends to them.
    pub async fn spared_endpoints(&self) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar("SELECT count(*) FROM delivery_endpoint WHERE disabled_at IS NULL AND failures >= $1")
            .bind(i64::from(THRESHOLD))
            .fetch_one(&self.pool)
            .await
    }

    /// Keeps a lease and says what time it is; `None` when it was lost.
    pub async fn renew(&self, lease: &Lease, good_for: Duration) -> Result<Option<Timestamp>, sqlx::Error> {
        let renewed = sqlx::query(
            "UPDATE delivery_endpoint SET lease_until = now() + make_interval(secs => $6)
             WHERE tenant = $1 AND kind = $2 AND name = $3 AND lease_owner = $4 AND epoch = $5 AND lease_until > now()
               AND disabled_at IS NULL
             RETURNING now() AS now",
        );
        let renewed = bound(renewed, lease).bind(good_for.as_secs_f64()).fetch_optional(&self.pool).await?;
        renewed.map(|row| timestamp(&row, "now")).transpose()
    }

    /// Gives an endpoint back.
    pub async fn release(&self, lease: &Lease) -> Result<(), sqlx::Error> {
        let released = sqlx::query(
            "UPDATE delivery_endpoint SET lease_owner = NULL, lease_until = NULL
             WHERE tenant = $1 AND kind = $2 AND name = $3 AND lease_owner = $4 AND epoch = $5",
        );
        bound(released, lease).execute(&self.pool).await.map(drop)
    }

    /// Up to `limit` deliveries whose attempt is due, the longest due first, but those under way.
    pub async fn due(&self, lease: &Lease, under_way: &[Uuid], limit: i64) -> Result<Vec<Due>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT delivery_id, body, recipient, attempts, give_up_at FROM delivery
             WHERE tenant = $1 AND kind = $2 AND name = $3 AND state = 'PENDING' AND next_attempt_at <= now()
               AND NOT delivery_id = ANY($4)
             ORDER BY next_attempt_at, delivery_id LIMIT $5",
        )
        .bind(&lease.tenant)
        .bind(lease.kind.as_str())
        .bind(&lease.name)
        .bind(under_way)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        let due = |row: sqlx::postgres::PgRow| {
            Ok(Due {
                delivery_id: row.try_get("delivery_id")?,
                body: row.try_get("body")?,
                recipient: row.try_get("recipient")?,
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
            "UPDATE delivery_endpoint SET failures = $6, open_until = $7, disabled_at = CASE WHEN $8 THEN now() ELSE disabled_at END
             WHERE tenant = $1 AND kind = $2 AND name = $3 AND lease_owner = $4 AND epoch = $5",
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
            "INSERT INTO delivery_attempt (delivery_id, attempt, at, duration_ms, status, error) VALUES ($1, $2, $3, $4, $5, $6)
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
            "UPDATE delivery SET attempts = $2, state = $3, next_attempt_at = now() + make_interval(secs => $4),
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
                "UPDATE delivery SET state = 'FAILED', finished_at = now(), last_error = 'the webhook is disabled'
                 WHERE tenant = $1 AND kind = $2 AND name = $3 AND state = 'PENDING'",
            )
            .bind(&lease.tenant)
            .bind(lease.kind.as_str())
            .bind(&lease.name)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// An endpoint's health.
    pub async fn endpoint(&self, tenant: &str, kind: Kind, name: &str) -> Result<Option<Endpoint>, sqlx::Error> {
        let row = sqlx::query("SELECT *, now() AS now FROM delivery_endpoint WHERE tenant = $1 AND kind = $2 AND name = $3");
        let row = row.bind(tenant).bind(kind.as_str()).bind(name).fetch_optional(&self.pool).await?;
        row.map(|row| endpoint(&row)).transpose()
    }

    /// The health of every endpoint of a kind, by name.
    pub async fn endpoints(&self, tenant: &str, kind: Kind) -> Result<HashMap<String, Endpoint>, sqlx::Error> {
        let rows = sqlx::query("SELECT *, now() AS now FROM delivery_endpoint WHERE tenant = $1 AND kind = $2");
        let rows = rows.bind(tenant).bind(kind.as_str()).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok((row.try_get("name")?, endpoint(row)?))).collect()
    }
}

fn endpoint(row: &sqlx::postgres::PgRow) -> Result<Endpoint, sqlx::Error> {
    Ok(Endpoint { breaker: breaker(row)?, disabled_at: optional_timestamp(row, "disabled_at")?, now: timestamp(row, "now")? })
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

/// The first five parameters: whose lease it is.
fn bound<'q>(query: Query<'q>, lease: &'q Lease) -> Query<'q> {
    query.bind(&lease.tenant).bind(lease.kind.as_str()).bind(&lease.name).bind(lease.owner).bind(lease.epoch)
}

fn breaker(row: &sqlx::postgres::PgRow) -> Result<Breaker, sqlx::Error> {
    let failures: i32 = row.try_get("failures")?;
    Ok(Breaker::new(failures.unsigned_abs(), optional_timestamp(row, "open_until")?))
}
