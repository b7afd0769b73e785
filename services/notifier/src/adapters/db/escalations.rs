//! What time alone causes at receivers: escalations that nobody prevented, and heartbeats.

use std::time::Duration;

use events::{Notification, NotificationState};
use sqlx::{Postgres, Transaction};
use stream::Failure;
use time::OffsetDateTime;
use uuid::Uuid;

use super::groups::{Limits, announce};
use super::{Store, classify, deliveries, list};
use crate::adapters::payload::{DeliveryDocument, DeliveryType};
use crate::domain::configuration::Configuration;
use crate::domain::matcher::labels_of;
use crate::domain::suppression::suppressor;

struct Timer {
    notification_id: Uuid,
    escalation: String,
    tenant: String,
    started_at: OffsetDateTime,
    done: i32,
    now: OffsetDateTime,
}

/// How long a notification that is quiet is looked at again after.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

impl Store {
    /// The next step of one escalation that is due; `None` when none is.
    pub async fn escalate(&self, limits: &Limits) -> Result<Option<usize>, Failure> {
        let mut transaction = self.pool.begin().await.map_err(|error| classify(&error))?;
        let due = sqlx::query_as!(
            Timer,
            r#"SELECT notification_id, escalation, tenant, started_at, done, clock_timestamp() AS "now!" FROM escalation_timer
               WHERE due_at <= now() ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED"#
        )
        .fetch_optional(&mut *transaction)
        .await
        .map_err(|error| classify(&error))?;
        let Some(timer) = due else { return Ok(None) };
        let configuration = self.configured(&mut transaction, &timer.tenant).await?;
        let made = step(&mut transaction, &timer, &configuration, limits).await.map_err(|error| classify(&error))?;
        transaction.commit().await.map_err(|error| classify(&error))?;
        Ok(Some(made))
    }

    /// Makes the heartbeats that are due; one that was not taken in time is not sent late.
    pub async fn beat(&self, limits: &Limits) -> Result<usize, Failure> {
        let mut transaction = self.pool.begin().await.map_err(|error| classify(&error))?;
        let due = sqlx::query!(
            "UPDATE heartbeat h SET next_at = now() + make_interval(secs => $1)
             FROM (SELECT tenant, receiver FROM heartbeat WHERE next_at <= now() ORDER BY tenant, receiver FOR UPDATE SKIP LOCKED) due
             WHERE h.tenant = due.tenant AND h.receiver = due.receiver RETURNING h.tenant, h.receiver",
            limits.heartbeat.as_secs_f64()
        )
        .fetch_all(&mut *transaction)
        .await
        .map_err(|error| classify(&error))?;
        let mut made = 0;
        for heart in due {
            let configuration = self.configured(&mut transaction, &heart.tenant).await?;
            let document = DeliveryDocument::new(DeliveryType::Heartbeat, Some(&heart.receiver));
            let making = deliveries::make(&mut transaction, &heart.tenant, &heart.receiver, &configuration, &document, limits.heartbeat);
            made += making.await.map_err(|error| classify(&error))?;
        }
        transaction.commit().await.map_err(|error| classify(&error))?;
        Ok(made)
    }
}

async fn step(
    transaction: &mut Transaction<'_, Postgres>,
    timer: &Timer,
    configuration: &Configuration,
    limits: &Limits,
) -> Result<usize, sqlx::Error> {
    let found = list::by_id(transaction, &[timer.notification_id]).await?.remove(&timer.notification_id);
    let escalation = configuration.escalations.get(&timer.escalation);
    let step_after = |done: i32| escalation.and_then(|escalation| escalation.step(done.unsigned_abs() as usize));
    let (Some(notification), Some(step)) = (found, step_after(timer.done)) else {
        return end(transaction, timer).await;
    };
    match notification.state {
        NotificationState::Open => {}
        // Back from a snooze it begins anew.
        NotificationState::Acknowledged | NotificationState::Snoozed | NotificationState::Resolved | NotificationState::Unknown => {
            return end(transaction, timer).await;
        }
    }
    let offline = list::offline(transaction, &timer.tenant, notification.device_id.as_slice()).await?;
    let now = timer.now.into();
    if suppressor(&notification, &labels_of(&notification), &configuration.silences, &offline, now).is_some() {
        return save(transaction, timer, timer.done, timer.now + LOOK_AGAIN).await;
    }
    let made = tell(transaction, timer, &step.receiver, configuration, &notification, limits).await?;
    match step_after(timer.done + 1) {
        Some(next) => save(transaction, timer, timer.done + 1, timer.started_at + next.after.duration()).await?,
        None => end(transaction, timer).await?,
    };
    Ok(made)
}

async fn tell(
    transaction: &mut Transaction<'_, Postgres>,
    timer: &Timer,
    receiver: &str,
    configuration: &Configuration,
    notification: &Notification,
    limits: &Limits,
) -> Result<usize, sqlx::Error> {
    if !configuration.receivers.contains_key(receiver) {
        return Ok(0);
    }
    let document = DeliveryDocument {
        reason: Some(format!("step {} of {}", timer.done + 1, timer.escalation)),
        ..DeliveryDocument::new(DeliveryType::Escalation, Some(receiver)).about(&[notification])
    };
    announce(transaction, &timer.tenant, receiver, configuration, &document, &[notification], timer.now.into(), limits).await
}

async fn save(transaction: &mut Transaction<'_, Postgres>, timer: &Timer, done: i32, due_at: OffsetDateTime) -> Result<usize, sqlx::Error> {
    sqlx::query!(
        "UPDATE escalation_timer SET done = $3, due_at = $4 WHERE notification_id = $1 AND escalation = $2",
        timer.notification_id,
        timer.escalation,
        done,
        due_at
    )
    .execute(&mut **transaction)
    .await?;
    Ok(0)
}

async fn end(transaction: &mut Transaction<'_, Postgres>, timer: &Timer) -> Result<usize, sqlx::Error> {
    sqlx::query!("DELETE FROM escalation_timer WHERE notification_id = $1 AND escalation = $2", timer.notification_id, timer.escalation)
        .execute(&mut **transaction)
        .await?;
    Ok(0)
}
