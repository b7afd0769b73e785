//! A batch of arrivals and their positions, in one transaction.

use std::collections::{BTreeMap, BTreeSet};

use events::trace::TraceContext;
use events::{CommandResult, Event as _, Notification};
use outbox::Slots;
use sqlx::{Postgres, Transaction};
use stream::{Cause as Origin, Failure};
use uuid::Uuid;

use super::positions::{self, Advance, Fenced};
use super::{Store, audit, classify, dispatch, results, subjects, timeline};
use crate::adapters::outgoing::Outgoing;
use crate::domain::lifecycle::{Cause, Subject};
use crate::domain::signal::Signal;

/// An event taken from a topic.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// What it says about a notification; `None`: nothing.
    pub signal: Option<Signal>,
    /// What it says about a command; its signal counts only if it ends the command.
    pub result: Option<CommandResult>,
    pub cause: Cause,
    pub origin: Origin,
    /// Context of the span that works on it.
    pub trace: Option<TraceContext>,
}

/// Why nothing of a batch took effect.
#[derive(Debug, thiserror::Error)]
pub enum NotApplied {
    #[error(transparent)]
    Fenced(#[from] Fenced),
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<sqlx::Error> for NotApplied {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(classify(&error))
    }
}

impl Store {
    /// Moves the positions and applies the arrivals in their order; returns the versions they made. Arrivals that had
    /// their effect before have none.
    pub async fn apply(&self, advances: &[Advance], arrivals: &[&Arrival], outgoing: &Outgoing) -> Result<Vec<Notification>, NotApplied> {
        let mut transaction = self.pool.begin().await?;
        // First of all: the lock on a position's row makes a second owner wait here, and then find itself fenced.
        positions::advance(&mut transaction, advances).await??;
        // Most changes of a device's state make no version, and nothing to publish.
        let (made, slots) = if arrivals.is_empty() { Default::default() } else { fold_in(&mut transaction, arrivals, outgoing).await? };
        self.commit(transaction, slots).await?;
        Ok(made)
    }

    /// What an arrival by itself would come to; nothing of it stays. Finds the one that spoils a batch.
    pub async fn rehearse(&self, arrival: &Arrival, outgoing: &Outgoing) -> Result<(), NotApplied> {
        let mut transaction = self.pool.begin().await?;
        fold_in(&mut transaction, &[arrival], outgoing).await?;
        transaction.rollback().await?;
        Ok(())
    }
}

async fn fold_in(
    transaction: &mut Transaction<'_, Postgres>,
    arrivals: &[&Arrival],
    outgoing: &Outgoing,
) -> Result<(Vec<Notification>, Slots), NotApplied> {
    let reported: Vec<&CommandResult> = arrivals.iter().filter_map(|arrival| arrival.result.as_ref()).collect();
    let ended = results::note(transaction, &reported).await?;
    let is_news = |arrival: &Arrival| arrival.result.as_ref().is_none_or(|result| ended.contains(&result.event_id()));
    let news = arrivals.iter().filter(|arrival| is_news(arrival));
    let signals: Vec<(&Arrival, &Signal)> = news.filter_map(|arrival| Some((*arrival, arrival.signal.as_ref()?))).collect();
    if signals.is_empty() {
        return Ok(Default::default());
    }
    let keys: BTreeSet<subjects::Key> = signals.iter().map(|(_, signal)| key_of(signal)).collect();
    let mut subjects = subjects::lock(transaction, keys).await?;
    let ids: Vec<Uuid> = signals.iter().map(|(arrival, _)| arrival.cause.event_id).collect();
    let mut known = audit::known(transaction, &ids).await?;

    timeline::note(transaction, signals.iter().map(|(_, signal)| *signal)).await?;
    let before = subjects.clone();
    let (mut versions, mut events, mut causes) = (Vec::new(), Vec::new(), Vec::new());
    for (arrival, signal) in signals {
        let Some(subject) = subjects.get_mut(&key_of(signal)) else { continue };
        if !known.insert(arrival.cause.event_id) {
            continue;
        }
        if let Some(version) = subject.apply(signal, &arrival.cause) {
            events.push(outgoing.event(&version, &arrival.origin, arrival.trace.clone())?);
            causes.push(Origin { trace: arrival.trace.clone(), ..arrival.origin.clone() });
            versions.push(version);
        }
    }

    let changed: Vec<(&subjects::Key, &Subject)> = subjects.iter().filter(|(key, subject)| before.get(*key) != Some(*subject)).collect();
    if !changed.is_empty() {
        subjects::save(transaction, &changed).await?;
    }
    let mut slots = Slots::default();
    if !versions.is_empty() {
        let latest: BTreeMap<&str, &Notification> = versions.iter().map(|version| (version.notification_id.as_str(), version)).collect();
        subjects::save_notifications(transaction, latest.into_values()).await?;
        audit::append(transaction, &versions).await?;
        dispatch::queue(transaction, &versions, &causes).await?;
        slots = outbox::enqueue(transaction, &events).await?;
    }
    Ok((versions, slots))
}

fn key_of(signal: &Signal) -> subjects::Key {
    (signal.tenant.clone(), signal.dedup_key.clone())
}
