//! `notifier rebuild`: the notifications and their audit logs, anew from notifications.v1 and what the outbox still holds.
//!
//! The API stays up: what was there is read until the new rows replace it in one transaction; who changes something
//! waits for the end of that transaction only.

use anyhow::Context as _;
use events::{Event as _, Notification};
use stream::tail::{From, Seen, Tail};
use stream::{Failure, Registry, decode};

use super::print;
use crate::adapters::db::{Rebuild, Store};
use crate::config::Config;

/// Versions written in one go.
const AT_ONCE: usize = 1_000;

pub(super) async fn run(store: &Store, config: &Config) -> anyhow::Result<()> {
    let registry = Registry::connect(&config.registry)?;
    let mut rebuild = store.begin_rebuild().await?;
    let topic = config.kafka.prefixed(Notification::SCHEMA.topic);
    let kafka = config.kafka.clone();
    let opened = tokio::task::spawn_blocking(move || Tail::open(&kafka, crate::NAME, &topic, &From::Beginning)).await?;
    let mut tail = opened.context("opening notifications.v1")?;

    // All that is there now, while everyone goes on; then the rest, while nobody changes anything.
    read_to_the_end(&mut tail, &registry, &mut rebuild).await?;
    let mut closing = rebuild.close().await?;
    let pending = closing.pending().await?;
    read_to_the_end(&mut tail, &registry, &mut closing).await?;
    let mut versions = Vec::with_capacity(pending.len());
    for payload in &pending {
        versions.push(decode::decode::<Notification>(&registry, payload).await?);
    }
    closing.add(&versions).await?;
    let (notifications, events) = closing.finish().await?;
    print(&format!("{notifications} notifications with {events} versions"))?;
    Ok(())
}

/// Adds everything up to the topic's end as it now is.
async fn read_to_the_end(tail: &mut Tail, registry: &Registry, rebuild: &mut Rebuild) -> anyhow::Result<()> {
    let ends = tail.ends()?;
    let mut versions = Vec::with_capacity(AT_ONCE);
    while tail.offsets().iter().any(|(partition, next)| ends.get(partition).is_some_and(|end| next < end)) {
        if let Seen::Record(record) = tail.next().await? {
            match decode::decode::<Notification>(registry, record.value.as_deref().unwrap_or_default()).await {
                Ok(version) => versions.push(version),
                // No stream shows it either.
                Err(failure @ Failure::Poison(_)) => failure.note("rebuilding"),
                Err(failure) => return Err(failure.into()),
            }
        }
        if versions.len() == AT_ONCE {
            rebuild.add(&versions).await?;
            versions.clear();
        }
    }
    rebuild.add(&versions).await?;
    Ok(())
}
