//! A change someone asks for through the API, in one transaction with its audit and outbox rows.

use events::Notification;
use events::headers;
use events::trace::TraceContext;
use outbox::Slots;
use sqlx::{Postgres, Transaction};
use stream::{Cause as Origin, Failure};
use uuid::Uuid;

use super::subjects::Key;
use super::{Store, audit, classify, dispatch, list, subjects};
use crate::adapters::outgoing::Outgoing;
use crate::domain::command::{Action, Command, Refused};
use crate::domain::lifecycle::{Cause, Subject, is_unresolved};
use crate::domain::suppression;

/// Why a notification was not changed.
#[derive(Debug, thiserror::Error)]
pub enum NotChanged {
    #[error("no such notification")]
    Missing,
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<sqlx::Error> for NotChanged {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(classify(&error))
    }
}

impl Store {
    /// Carries out a command on a notification of a tenant; returns the new version.
    pub async fn change(
        &self,
        tenant: &str,
        id: Uuid,
        command: &Command,
        cause: &Cause,
        trace: Option<TraceContext>,
        outgoing: &Outgoing,
    ) -> Result<Notification, NotChanged> {
        let mut transaction = self.pool.begin().await?;
        let (key, subject, current) = locked(&mut transaction, tenant, id).await?;
        let version = command.apply(&current, cause)?;
        if command.action == Action::Reopen && has_successor(&subject, &current) {
            return Err(Refused::Succeeded.into());
        }
        // What was reopened is what the key's next signal speaks of.
        let subject = Subject { current: Some(version.clone()), ..subject };
        if is_unresolved(&version) {
            subjects::save(&mut transaction, &[(&key, &subject)]).await?;
        }
        let slots = add(&mut transaction, &version, trace, outgoing).await?;
        self.commit(transaction, slots).await?;
        Ok(version)
    }

    /// Notes what keeps a notification quiet, if it does not say so already.
    pub async fn mark(
        &self,
        tenant: &str,
        id: Uuid,
        by: Option<&str>,
        cause: &Cause,
        outgoing: &Outgoing,
    ) -> Result<Option<Notification>, NotChanged> {
        let mut transaction = self.pool.begin().await?;
        let (_, _, current) = locked(&mut transaction, tenant, id).await?;
        let Some(version) = suppression::marked(&current, by, cause) else { return Ok(None) };
        let slots = add(&mut transaction, &version, None, outgoing).await?;
        self.commit(transaction, slots).await?;
        Ok(Some(version))
    }
}

/// Adds a version: the notification as it now is, its audit and outbox rows, and what has to be told.
pub(super) async fn add(
    transaction: &mut Transaction<'_, Postgres>,
    version: &Notification,
    trace: Option<TraceContext>,
    outgoing: &Outgoing,
) -> Result<Slots, NotChanged> {
    let origin = Origin { event_id: Some(version.source_event_id.clone()), correlation_id: None, trace: trace.clone() };
    let event = outgoing.event(version, &origin, trace)?;
    let chain = Origin { correlation_id: event.headers.get(headers::CORRELATION_ID).cloned(), ..origin };
    subjects::save_notifications(transaction, std::iter::once(version)).await?;
    audit::append(transaction, std::slice::from_ref(version)).await?;
    dispatch::queue(transaction, std::slice::from_ref(version), &[chain]).await?;
    Ok(outbox::enqueue(transaction, &[event]).await?)
}

/// A notification with its key and what is known of that, once nobody else can change them.
async fn locked(transaction: &mut Transaction<'_, Postgres>, tenant: &str, id: Uuid) -> Result<(Key, Subject, Notification), NotChanged> {
    let found = list::one(&mut **transaction, tenant, id).await?.ok_or(NotChanged::Missing)?;
    let key = (found.tenant, found.dedup_key);
    let subject = subjects::lock_one(transaction, &key).await?;
    let current = list::one(&mut **transaction, tenant, id).await?.ok_or(NotChanged::Missing)?;
    Ok((key, subject, current))
}

fn has_successor(subject: &Subject, resolved: &Notification) -> bool {
    subject.current.as_ref().is_some_and(|current| is_unresolved(current) && current.notification_id != resolved.notification_id)
}
