//! Snoozes whose time has come, by the database's clock: replicas agree on it.

use events::Notification;
use stream::Failure;
use uuid::Uuid;

use super::{NotChanged, Store, classify};
use crate::adapters::outgoing::Outgoing;
use crate::domain::command::{Action, CLOCK, Command};
use crate::domain::lifecycle::Cause;

/// Snoozes ended in one go.
const AT_ONCE: i64 = 200;

impl Store {
    /// Ends the snoozes that are due; what someone else changed meanwhile is left alone. Returns the new versions.
    pub async fn end_snoozes(&self, outgoing: &Outgoing) -> Result<Vec<Notification>, Failure> {
        let due = sqlx::query!(
            r#"SELECT tenant, notification_id, version, now() AS "now!" FROM notification
               WHERE state = 'SNOOZED' AND snoozed_until <= now() ORDER BY snoozed_until LIMIT $1"#,
            AT_ONCE
        )
        .fetch_all(&self.pool)
        .await
        .map_err(|error| classify(&error))?;
        let mut ended = Vec::new();
        for snoozed in due {
            let expected_version = Some(snoozed.version);
            let command = Command { action: Action::EndSnooze, by: CLOCK.to_owned(), reason: None, expected_version };
            let cause = Cause { event_id: Uuid::now_v7(), trace_id: None, at: snoozed.now.into() };
            match self.change(&snoozed.tenant, snoozed.notification_id, &command, &cause, None, outgoing).await {
                Ok(version) => ended.push(version),
                Err(NotChanged::Failed(failure)) => return Err(failure),
                Err(NotChanged::Missing | NotChanged::Refused(_)) => {}
            }
        }
        Ok(ended)
    }
}
