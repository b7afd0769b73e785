//! What others tell through the API, each request once: its effect and its answer are one transaction.

use std::time::Duration;

use events::Notification;
use events::trace::TraceContext;
use outbox::Slots;
use serde::Serialize;
use serde_json::Value;
use sqlx::{Postgres, Transaction};
use stream::{Failure, Poison};
use uuid::Uuid;

use super::{NotChanged, Store, change, subjects};
use crate::adapters::document::NotificationDocument;
use crate::adapters::outgoing::Outgoing;
use crate::domain::command::Command;
use crate::domain::external::{Trigger, key_of};
use crate::domain::lifecycle::{Cause, is_unresolved};

/// What someone tells.
#[derive(Clone, Debug)]
pub enum Told {
    Trigger(Trigger),
    /// Of the unresolved notification with this key.
    Command {
        tenant: String,
        dedup_key: String,
        command: Command,
    },
}

/// A request that may come again.
#[derive(Clone, Debug)]
pub struct Once {
    pub key_id: Uuid,
    pub idempotency_key: String,
    pub body_hash: Vec<u8>,
}

/// What a request comes to.
#[derive(Debug)]
pub enum Answer<T> {
    New(T),
    /// It was answered before, like this.
    Again(Value),
    /// The key was used with another body.
    OtherBody,
    /// The same request is being worked on.
    InFlight,
}

impl Store {
    /// Does what is told, unless it was done before.
    pub async fn tell(
        &self,
        told: &Told,
        once: Option<&Once>,
        cause: &Cause,
        trace: Option<TraceContext>,
        outgoing: &Outgoing,
    ) -> Result<Answer<Box<Notification>>, NotChanged> {
        let mut transaction = self.pool.begin().await?;
        let answer = answer(&mut transaction, told, once, cause, trace, outgoing).await;
        // Awaited either way: who asks again right after the answer must not meet the lock of the first time.
        match &answer {
            Ok((Answer::New(_), slots)) => self.commit(transaction, *slots).await?,
            _ => transaction.rollback().await?,
        }
        Ok(answer?.0)
    }

    /// Forgets answers that are older than that.
    pub async fn forget_answers(&self, age: Duration) -> Result<(), sqlx::Error> {
        sqlx::query!("DELETE FROM idempotency WHERE created_at < now() - make_interval(secs => $1)", age.as_secs_f64())
            .execute(&self.pool)
            .await
            .map(drop)
    }
}

async fn answer(
    transaction: &mut Transaction<'_, Postgres>,
    told: &Told,
    once: Option<&Once>,
    cause: &Cause,
    trace: Option<TraceContext>,
    outgoing: &Outgoing,
) -> Result<(Answer<Box<Notification>>, Slots), NotChanged> {
    if let Some(once) = once
        && let Some(answer) = before(transaction, once).await?
    {
        return Ok((answer, Slots::default()));
    }
    let (version, slots) = match told {
        Told::Trigger(trigger) => pull(transaction, trigger, cause, trace, outgoing).await?,
        Told::Command { tenant, dedup_key, command } => obey(transaction, (tenant, dedup_key), command, cause, trace, outgoing).await?,
    };
    if let Some(once) = once {
        remember(transaction, once, 200, &NotificationDocument::from(&version)).await?;
    }
    Ok((Answer::New(Box::new(version)), slots))
}

/// Keeps what a request is answered, for when it comes again.
pub(super) async fn remember(
    transaction: &mut Transaction<'_, Postgres>,
    once: &Once,
    status: i32,
    answer: &impl Serialize,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO idempotency (key_id, idempotency_key, body_hash, status, answer) VALUES ($1, $2, $3, $4, $5)",
        once.key_id,
        once.idempotency_key,
        once.body_hash,
        status,
        serde_json::to_value(answer).map_err(|error| sqlx::Error::Encode(error.into()))?
    )
    .execute(&mut **transaction)
    .await
    .map(drop)
}

/// What is known of a request; `None`: it is new, and nobody else works on it until the transaction ends.
pub(super) async fn before<T>(transaction: &mut Transaction<'_, Postgres>, once: &Once) -> Result<Option<Answer<T>>, sqlx::Error> {
    let locked = sqlx::query_scalar!(
        r#"SELECT pg_try_advisory_xact_lock(hashtextextended('idempotency ' || $1::uuid::text || ' ' || $2, 0)) AS "locked!""#,
        once.key_id,
        once.idempotency_key
    );
    if !locked.fetch_one(&mut **transaction).await? {
        return Ok(Some(Answer::InFlight));
    }
    let known = sqlx::query!(
        "SELECT body_hash, answer FROM idempotency WHERE key_id = $1 AND idempotency_key = $2",
        once.key_id,
        once.idempotency_key
    )
    .fetch_optional(&mut **transaction)
    .await?;
    Ok(known.map(|known| if known.body_hash == once.body_hash { Answer::Again(known.answer) } else { Answer::OtherBody }))
}

async fn pull(
    transaction: &mut Transaction<'_, Postgres>,
    trigger: &Trigger,
    cause: &Cause,
    trace: Option<TraceContext>,
    outgoing: &Outgoing,
) -> Result<(Notification, Slots), NotChanged> {
    let key = (trigger.tenant.clone(), key_of(&trigger.dedup_key));
    let mut subject = subjects::lock_one(transaction, &key).await?;
    let signal = trigger.signal(&subject, cause.at);
    signal.check().map_err(|problem| Failure::from(Poison::new("unstorable", problem.to_string())))?;
    let version = subject.apply(&signal, cause).ok_or_else(|| Failure::fatal("a trigger of the API is never late"))?;
    subjects::save(transaction, &[(&key, &subject)]).await?;
    let slots = change::add(transaction, &version, trace, outgoing).await?;
    Ok((version, slots))
}

async fn obey(
    transaction: &mut Transaction<'_, Postgres>,
    (tenant, dedup_key): (&str, &str),
    command: &Command,
    cause: &Cause,
    trace: Option<TraceContext>,
    outgoing: &Outgoing,
) -> Result<(Notification, Slots), NotChanged> {
    let found = sqlx::query_scalar!(
        "SELECT dedup_key FROM notification
         WHERE tenant = $1 AND dedup_key IN ($2, $3) AND state <> 'RESOLVED' ORDER BY dedup_key = $2 DESC LIMIT 1",
        tenant,
        dedup_key,
        key_of(dedup_key)
    )
    .fetch_optional(&mut **transaction)
    .await?;
    let key = (tenant.to_owned(), found.ok_or(NotChanged::Missing)?);
    let subject = subjects::lock_one(transaction, &key).await?;
    // Someone may have resolved it meanwhile.
    let current = subject.current.filter(is_unresolved).ok_or(NotChanged::Missing)?;
    let version = command.apply(&current, cause)?;
    let slots = change::add(transaction, &version, trace, outgoing).await?;
    Ok((version, slots))
}
