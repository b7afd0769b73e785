//! What time causes: snoozes that end, groups whose turn comes, summaries, escalations, heartbeats.
//!
//! Every replica runs it; what is due is taken by whoever locks its row first, by the database's clock.

use std::time::Duration;

use service::{HealthCheck, Shutdown};
use stream::Failure;
use telemetry::metrics;
use uuid::Uuid;

use super::db::{Flushed, Limits, NotChanged, Store, classify};
use super::outgoing::Outgoing;
use crate::config::DeliveryConfig;
use crate::domain::lifecycle::Cause;

/// How often is looked for what is due.
const PACE: Duration = Duration::from_millis(250);
/// Turns after which the counts are added up.
const OFTEN: u32 = 4;
/// Turns after which what is old is forgotten.
const SELDOM: u32 = 240;
/// How long the answer to an idempotency key is kept.
const ANSWERS_KEPT: Duration = Duration::from_hours(24);
/// Done of one kind before the others have their turn.
const AT_ONCE: usize = 100;

#[derive(Clone, Copy)]
enum Duty {
    Dispatch,
    Groups,
    Summaries,
    Escalations,
}

pub struct Timers {
    pub store: Store,
    pub outgoing: Outgoing,
    pub delivery: DeliveryConfig,
    /// How long changes of devices' connections are kept.
    pub status_changes: Duration,
    /// How long commands and their results are kept.
    pub commands: Duration,
    /// How long windows of devices' metrics are kept.
    pub history: Duration,
}

impl Timers {
    /// Looks for what is due until shutdown; a database out of reach is waited for.
    pub async fn run(self, check: HealthCheck, shutdown: Shutdown) -> anyhow::Result<()> {
        for turn in 0_u32.. {
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = tokio::time::sleep(PACE) => {}
            }
            check.beat();
            match self.turn(turn).await {
                Ok(()) => check.ready(),
                Err(failure @ Failure::Fatal(_)) => return Err(failure.into()),
                Err(failure) => {
                    check.not_ready(failure.to_string());
                    failure.note("doing what is due");
                }
            }
        }
        Ok(())
    }

    async fn turn(&self, turn: u32) -> Result<(), Failure> {
        for version in self.store.end_snoozes(&self.outgoing).await? {
            counted(&version.change.action);
        }
        let limits =
            Limits { per_minute: self.delivery.per_minute, give_up_after: self.delivery.give_up_after, heartbeat: self.delivery.heartbeat };
        for duty in [Duty::Dispatch, Duty::Groups, Duty::Summaries, Duty::Escalations] {
            for _ in 0..AT_ONCE {
                let Some(deliveries) = self.one(duty, &limits).await? else { break };
                metrics::counter("fieldwatch_deliveries", &[]).inc_by(deliveries as u64);
            }
        }
        self.store.beat(&limits).await?;
        if turn.is_multiple_of(OFTEN) {
            self.store.add_up_counts().await.map_err(|error| classify(&error))?;
        }
        if turn.is_multiple_of(SELDOM) {
            self.store.forget_deliveries(self.delivery.keep).await.map_err(|error| classify(&error))?;
            self.store.forget_status_changes(self.status_changes).await.map_err(|error| classify(&error))?;
            self.store.forget_device_commands(self.commands).await.map_err(|error| classify(&error))?;
            self.store.forget_history(self.history).await.map_err(|error| classify(&error))?;
            self.store.forget_answers(ANSWERS_KEPT).await.map_err(|error| classify(&error))?;
        }
        Ok(())
    }

    /// One thing that is due, and the deliveries it led to; `None` when nothing is.
    async fn one(&self, duty: Duty, limits: &Limits) -> Result<Option<usize>, Failure> {
        match duty {
            Duty::Dispatch => Ok((self.store.dispatch(&self.outgoing).await? > 0).then_some(0)),
            Duty::Groups => match self.store.flush_group(limits).await? {
                Some(flushed) => self.marked(flushed).await.map(Some),
                None => Ok(None),
            },
            Duty::Summaries => self.store.summarise(limits).await,
            Duty::Escalations => self.store.escalate(limits).await,
        }
    }

    /// Notes what keeps notifications quiet, each by itself: whoever dies in between leaves it to the group's next turn.
    async fn marked(&self, flushed: Flushed) -> Result<usize, Failure> {
        for (tenant, id, by) in flushed.marks {
            let at = std::time::SystemTime::now().into();
            let cause = Cause { event_id: Uuid::now_v7(), trace_id: None, at };
            match self.store.mark(&tenant, id, by.as_deref(), &cause, &self.outgoing).await {
                Ok(Some(version)) => counted(&version.change.action),
                Ok(None) | Err(NotChanged::Missing | NotChanged::Refused(_)) => {}
                Err(NotChanged::Failed(failure)) => return Err(failure),
            }
        }
        Ok(flushed.deliveries)
    }
}

fn counted(action: &str) {
    metrics::counter("fieldwatch_notifications", &[("action", action)]).inc();
}
