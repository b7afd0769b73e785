//! Deliveries: rows that outlive whoever made them, read by people and made again on request.

use std::time::Duration;

use events::Timestamp;
use sqlx::{FromRow, PgConnection, Postgres, QueryBuilder, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

use super::rows::{OptionalTime, date};
use super::{Kind, Store};
use crate::adapters::payload::DeliveryDocument;
use crate::domain::configuration::Configuration;
use crate::domain::email::Email;

/// A delivery as it stands.
#[derive(Clone, Debug, FromRow)]
pub struct DeliveryRow {
    pub delivery_id: Uuid,
    /// Of the endpoint, as configuration names it.
    pub kind: String,
    pub name: String,
    /// Of an e-mail.
    pub recipient: Option<String>,
    pub receiver: Option<String>,
    pub r#type: String,
    pub group_key: Option<String>,
    pub state: String,
    pub attempts: i32,
    #[sqlx(try_from = "OffsetDateTime")]
    pub created_at: Timestamp,
    #[sqlx(try_from = "OffsetDateTime")]
    pub next_attempt_at: Timestamp,
    #[sqlx(try_from = "OffsetDateTime")]
    pub give_up_at: Timestamp,
    #[sqlx(try_from = "OptionalTime")]
    pub finished_at: Option<Timestamp>,
    pub last_status: Option<i32>,
    pub last_error: Option<String>,
    pub body: String,
}

/// A statement that gives deliveries: what is before their columns, what is behind, and its parameters.
macro_rules! deliveries {
    ($before:literal, $behind:literal, $($parameter:expr),+) => {
        sqlx::query_as!(
            DeliveryRow,
            $before
                + r#" delivery_id, kind, name, recipient, receiver, type, group_key, state, attempts, created_at, next_attempt_at,
                      give_up_at, finished_at AS "finished_at!: OptionalTime", last_status, last_error, body "#
                + $behind,
            $($parameter),+
        )
    };
}

/// One attempt of a delivery.
#[derive(Clone, Debug)]
pub struct AttemptRow {
    pub attempt: i32,
    pub at: Timestamp,
    pub duration_ms: i64,
    pub status: Option<i32>,
    pub error: Option<String>,
}

/// Where a delivery goes.
#[derive(Clone, Copy)]
struct To<'a> {
    kind: Kind,
    name: &'a str,
    /// Of an e-mail.
    recipient: Option<&'a str>,
}

/// Makes a row for each of the receiver's webhooks and for each address of its e-mails; returns how many. For an
/// endpoint that is disabled it is there, and failed.
pub(super) async fn make(
    transaction: &mut Transaction<'_, Postgres>,
    tenant: &str,
    receiver: &str,
    configuration: &Configuration,
    document: &DeliveryDocument,
    good_for: Duration,
) -> Result<usize, sqlx::Error> {
    let Some(configured) = configuration.receivers.get(receiver) else { return Ok(0) };
    let mut made = 0;
    for name in &configured.webhooks {
        let Some(webhook) = configuration.webhooks.get(name) else { continue };
        let to = To { kind: Kind::Webhook, name, recipient: None };
        add(transaction, tenant, to, document, &document.body(webhook.format), good_for).await?;
        made += 1;
    }
    for name in &configured.emails {
        let Some(email) = configuration.emails.get(name) else { continue };
        made += mail(transaction, tenant, name, email, document, good_for).await?.len();
    }
    Ok(made)
}

/// A delivery for each address: one that is refused keeps nothing from the others.
async fn mail(
    connection: &mut PgConnection,
    tenant: &str,
    name: &str,
    email: &Email,
    document: &DeliveryDocument,
    good_for: Duration,
) -> Result<Vec<DeliveryRow>, sqlx::Error> {
    let body = document.email();
    let mut made = Vec::with_capacity(email.to.len());
    for address in &email.to {
        let to = To { kind: Kind::Email, name, recipient: Some(address) };
        made.push(add(connection, tenant, to, document, &body, good_for).await?);
    }
    Ok(made)
}

async fn add(
    connection: &mut PgConnection,
    tenant: &str,
    to: To<'_>,
    document: &DeliveryDocument,
    body: &str,
    good_for: Duration,
) -> Result<DeliveryRow, sqlx::Error> {
    deliveries!(
        "INSERT INTO delivery
             (delivery_id, tenant, kind, name, recipient, receiver, type, group_key, body, give_up_at, state, finished_at, last_error)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, now() + make_interval(secs => $10),
                CASE WHEN disabled THEN 'FAILED' ELSE 'PENDING' END, CASE WHEN disabled THEN now() END,
                CASE WHEN disabled THEN 'the webhook is disabled' END
         FROM (SELECT EXISTS (SELECT FROM delivery_endpoint
                              WHERE tenant = $2 AND kind = $3 AND name = $4 AND disabled_at IS NOT NULL) AS disabled) e
         RETURNING",
        "",
        Uuid::now_v7(),
        tenant,
        to.kind.as_str(),
        to.name,
        to.recipient,
        document.receiver,
        document.type_name(),
        document.group_key,
        body,
        good_for.as_secs_f64()
    )
    .fetch_one(connection)
    .await
}

impl Store {
    /// A delivery to a webhook that someone asked for.
    pub async fn add_delivery(
        &self,
        tenant: &str,
        webhook: &str,
        document: &DeliveryDocument,
        body: &str,
        good_for: Duration,
    ) -> Result<DeliveryRow, sqlx::Error> {
        let to = To { kind: Kind::Webhook, name: webhook, recipient: None };
        add(&mut *self.pool.acquire().await?, tenant, to, document, body, good_for).await
    }

    /// Deliveries to the addresses of an e-mail that someone asked for.
    pub async fn add_emails(
        &self,
        tenant: &str,
        name: &str,
        email: &Email,
        document: &DeliveryDocument,
        good_for: Duration,
    ) -> Result<Vec<DeliveryRow>, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let made = mail(&mut transaction, tenant, name, email, document, good_for).await?;
        transaction.commit().await?;
        Ok(made)
    }

    pub async fn delivery(&self, tenant: &str, kind: Kind, delivery_id: Uuid) -> Result<Option<DeliveryRow>, sqlx::Error> {
        deliveries!("SELECT", "FROM delivery WHERE tenant = $1 AND kind = $2 AND delivery_id = $3", tenant, kind.as_str(), delivery_id)
            .fetch_optional(&self.pool)
            .await
    }

    /// Up to `limit` deliveries of an endpoint after (`created_at`, id), latest first.
    pub async fn deliveries(
        &self,
        tenant: &str,
        (kind, name): (Kind, &str),
        state: Option<&str>,
        after: Option<(Timestamp, Uuid)>,
        limit: i64,
    ) -> Result<Vec<DeliveryRow>, sqlx::Error> {
        let mut query = QueryBuilder::new(
            "SELECT delivery_id, kind, name, recipient, receiver, type, group_key, state, attempts, created_at, next_attempt_at, give_up_at,
                    finished_at, last_status, last_error, body
             FROM delivery WHERE tenant = ",
        );
        query.push_bind(tenant).push(" AND kind = ").push_bind(kind.as_str()).push(" AND name = ").push_bind(name);
        if let Some(state) = state {
            query.push(" AND state = ").push_bind(state);
        }
        if let Some((created_at, delivery_id)) = after {
            query.push(" AND (created_at, delivery_id) < (").push_bind(date(created_at)).push(", ").push_bind(delivery_id).push(")");
        }
        query.push(" ORDER BY created_at DESC, delivery_id DESC LIMIT ").push_bind(limit);
        query.build_query_as().fetch_all(&self.pool).await
    }

    pub async fn attempts(&self, delivery_id: Uuid) -> Result<Vec<AttemptRow>, sqlx::Error> {
        sqlx::query_as!(
            AttemptRow,
            "SELECT attempt, at, duration_ms, status, error FROM delivery_attempt WHERE delivery_id = $1 ORDER BY attempt",
            delivery_id
        )
        .fetch_all(&self.pool)
        .await
    }

    /// Sends a delivery again, whatever became of it, under the same id.
    pub async fn resend(
        &self,
        tenant: &str,
        kind: Kind,
        delivery_id: Uuid,
        good_for: Duration,
    ) -> Result<Option<DeliveryRow>, sqlx::Error> {
        deliveries!(
            "UPDATE delivery SET state = 'PENDING', next_attempt_at = now(), finished_at = NULL,
                    give_up_at = now() + make_interval(secs => $4)
             WHERE tenant = $1 AND kind = $2 AND delivery_id = $3
             RETURNING",
            "",
            tenant,
            kind.as_str(),
            delivery_id,
            good_for.as_secs_f64()
        )
        .fetch_optional(&self.pool)
        .await
    }

    /// Forgets deliveries older than that, a bounded number at a time.
    pub async fn forget_deliveries(&self, age: Duration) -> Result<u64, sqlx::Error> {
        let forget = sqlx::query!(
            "DELETE FROM delivery WHERE delivery_id = ANY (ARRAY(SELECT delivery_id FROM delivery
             WHERE created_at < now() - make_interval(secs => $1) AND state <> 'PENDING' ORDER BY created_at LIMIT 1000))",
            age.as_secs_f64()
        );
        Ok(forget.execute(&self.pool).await?.rows_affected())
    }
}
