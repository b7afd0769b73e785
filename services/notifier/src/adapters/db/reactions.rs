//! What devices do about notifications, decided and issued in the transaction that takes these from the queue: once for
//! each opening, whoever dies or reads the log again meanwhile.

use std::collections::HashMap;
use std::sync::Arc;

use events::{Notification, Timestamp};
use outbox::Slots;
use sqlx::{Postgres, Transaction};
use stream::{Cause as Origin, Failure};
use telemetry::metrics;
use time::OffsetDateTime;
use uuid::Uuid;

use super::device_commands::{self, Issued};
use super::dispatch::Queued;
use super::rows::array;
use super::{classify, list};
use crate::adapters::outgoing::Outgoing;
use crate::domain::configuration::Configuration;
use crate::domain::lifecycle::is_unresolved;
use crate::domain::reaction::{ACTED_ON, Reaction, reaction};
use crate::domain::receiver::Receiver;

/// Issues what the configurations have devices do about what was taken; returns where the outbox has rows of it.
pub(super) async fn act(
    transaction: &mut Transaction<'_, Postgres>,
    taken: &[Queued],
    notifications: &HashMap<Uuid, Notification>,
    configurations: &HashMap<String, Arc<Configuration>>,
    outgoing: &Outgoing,
) -> Result<Slots, Failure> {
    let acts = |tenant: &str| configurations.get(tenant).is_some_and(|configuration| configuration.receivers.values().any(Receiver::acts));
    let candidates: Vec<&Queued> = taken.iter().filter(|queued| acts(&queued.tenant)).collect();
    if candidates.is_empty() {
        return Ok(Slots::default());
    }
    let opened = opened(transaction, &candidates).await.map_err(|error| classify(&error))?;
    let mut reactions: Vec<(Reaction, Origin)> = Vec::new();
    for queued in candidates {
        let (Some(notification), Some(configuration)) = (notifications.get(&queued.notification_id), configurations.get(&queued.tenant))
        else {
            continue;
        };
        let opening = opened.get(&(queued.notification_id, queued.news)).filter(|_| is_unresolved(notification));
        let Some(Opening { version, now }) = opening else { continue };
        let devices = notification.device_id.as_slice();
        let offline = list::offline(transaction, &queued.tenant, devices).await.map_err(|error| classify(&error))?;
        let reaction = reaction(configuration, notification, *version, &offline, *now);
        if reaction != Reaction::default() {
            reactions.push((reaction, queued.origin()));
        }
    }
    if reactions.is_empty() {
        return Ok(Slots::default());
    }
    let commands = reactions.iter().flat_map(|(reaction, origin)| {
        reaction.commands.iter().map(move |command| Issued { command, origin, trace: origin.trace.as_ref(), member: None })
    });
    let runs = reactions.iter().flat_map(|(reaction, origin)| reaction.scenes.iter().map(move |run| (run, origin, origin.trace.as_ref())));
    let (issued, slots) = device_commands::issue(transaction, &commands.collect::<Vec<_>>(), &runs.collect::<Vec<_>>(), outgoing).await?;
    metrics::counter("fieldwatch_commands_issued", &[("by", "route")]).inc_by(issued as u64);
    Ok(slots)
}

/// The version that opened a notification last, and the database's clock.
struct Opening {
    version: i64,
    now: Timestamp,
}

/// Of the news that may be acted on, by notification and version: the opening they belong to. A version opens when it is the
/// first, or when the one before it was the end.
async fn opened(transaction: &mut Transaction<'_, Postgres>, candidates: &[&Queued]) -> Result<HashMap<(Uuid, i64), Opening>, sqlx::Error> {
    let openings = sqlx::query!(
        r#"SELECT n.notification_id AS "notification_id!", n.news AS "news!", clock_timestamp() AS "now!",
                  (SELECT max(e.version) FROM notification_event e
                   LEFT JOIN notification_event before ON before.notification_id = e.notification_id AND before.version = e.version - 1
                   WHERE e.notification_id = n.notification_id AND e.version <= n.news
                     AND e.state <> 'RESOLVED' AND (before.state IS NULL OR before.state = 'RESOLVED')) AS opening
           FROM unnest($1::uuid[], $2::bigint[]) AS n (notification_id, news)
           JOIN notification_event told ON told.notification_id = n.notification_id AND told.version = n.news
           WHERE told.action = ANY($3)"#,
        &array(candidates, |queued| queued.notification_id),
        &array(candidates, |queued| queued.news),
        &ACTED_ON.map(str::to_owned) as &[String],
    );
    let openings = openings.map(|row| {
        let now: OffsetDateTime = row.now;
        row.opening.map(|version| ((row.notification_id, row.news), Opening { version, now: now.into() }))
    });
    Ok(openings.fetch_all(&mut **transaction).await?.into_iter().flatten().collect())
}
