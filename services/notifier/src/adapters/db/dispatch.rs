//! What has to be told, from the version that says so into its groups.
//!
//! Guarantees: a version that is committed is in its groups sooner or later, whoever dies meanwhile. Locks are taken in
//! one order (queue, groups, outbox), and never while a notification's key is held.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use events::{Notification, NotificationState};
use sqlx::{Postgres, Transaction};
use stream::{Cause as Origin, Failure};
use uuid::Uuid;

use super::rows::{array, checked, uuid};
use super::{Store, classify, list, reactions};
use crate::adapters::outgoing::Outgoing;
use crate::domain::configuration::Configuration;
use crate::domain::lifecycle::is_unresolved;
use crate::domain::matcher::labels_of;
use crate::domain::receiver::Receiver;
use crate::domain::routing::destinations;

/// Taken from the queue in one go.
const AT_ONCE: i64 = 500;

/// Changes that have to be told.
const NEWS: [&str; 6] = ["opened", "raised", "reopened", "unacknowledged", "unsnoozed", "snooze_ended"];

/// Queues those of the versions that have to be told, each with what it came from.
pub(super) async fn queue(
    transaction: &mut Transaction<'_, Postgres>,
    versions: &[Notification],
    causes: &[Origin],
) -> Result<(), sqlx::Error> {
    let is_news = |version: &Notification| version.state == NotificationState::Open && NEWS.contains(&version.change.action.as_str());
    let mut latest: BTreeMap<&str, (&Notification, &Origin)> = BTreeMap::new();
    let news = versions.iter().zip(causes).filter(|(version, _)| is_news(version));
    latest.extend(news.map(|(version, cause)| (version.notification_id.as_str(), (version, cause))));
    if latest.is_empty() {
        return Ok(());
    }
    let latest: Vec<(&Notification, &Origin)> = latest.into_values().collect();
    sqlx::query!(
        "INSERT INTO dispatch (tenant, notification_id, news, correlation_id, traceparent)
         SELECT * FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::text[], $5::text[])",
        &array(&latest, |(version, _)| version.tenant.as_str()) as &[&str],
        &checked(&latest, |(version, _)| uuid(&version.notification_id))?,
        &array(&latest, |(version, _)| version.version),
        &array(&latest, |(_, cause)| cause.correlation_id.as_deref()) as &[Option<&str>],
        &array(&latest, |(_, cause)| cause.trace.as_ref().map(ToString::to_string)) as &[Option<String>],
    )
    .execute(&mut **transaction)
    .await
    .map(drop)
}

/// What was taken from the queue.
pub(super) struct Queued {
    pub tenant: String,
    pub notification_id: Uuid,
    pub news: i64,
    correlation_id: Option<String>,
    traceparent: Option<String>,
}

impl Queued {
    /// What the version came from, for what is done about it.
    pub(super) fn origin(&self) -> Origin {
        let trace = self.traceparent.as_deref().and_then(|parent| parent.parse().ok());
        Origin { event_id: None, correlation_id: self.correlation_id.clone(), trace }
    }
}

#[derive(Default)]
struct Groups {
    ids: Vec<Uuid>,
    tenants: Vec<String>,
    routes: Vec<String>,
    receivers: Vec<String>,
    keys: Vec<String>,
    waits: Vec<f64>,
    hurries: Vec<bool>,
}

#[derive(Default)]
struct Escalations {
    notifications: Vec<Uuid>,
    names: Vec<String>,
    tenants: Vec<String>,
    waits: Vec<f64>,
}

impl Store {
    /// Takes what waits into its groups, and does at once what devices are to do about it; returns how much that was.
    pub async fn dispatch(&self, outgoing: &Outgoing) -> Result<usize, Failure> {
        let mut transaction = self.pool.begin().await.map_err(|error| classify(&error))?;
        // An array: what is IN a query Postgres may look up anew for each row.
        let taken = sqlx::query_as!(
            Queued,
            "DELETE FROM dispatch WHERE position = ANY (ARRAY(SELECT position FROM dispatch ORDER BY position LIMIT $1 FOR UPDATE SKIP LOCKED))
             RETURNING tenant, notification_id, news, correlation_id, traceparent",
            AT_ONCE
        )
        .fetch_all(&mut *transaction)
        .await
        .map_err(|error| classify(&error))?;
        if taken.is_empty() {
            return Ok(0);
        }
        let ids: Vec<Uuid> = taken.iter().map(|queued| queued.notification_id).collect();
        let notifications = list::by_id(&mut transaction, &ids).await.map_err(|error| classify(&error))?;
        let mut configurations: HashMap<String, Arc<Configuration>> = HashMap::new();
        for tenant in taken.iter().map(|queued| &queued.tenant).collect::<BTreeSet<_>>() {
            configurations.insert(tenant.clone(), self.configured(&mut transaction, tenant).await?);
        }
        sort_in(&mut transaction, &taken, &notifications, &configurations).await.map_err(|error| classify(&error))?;
        let slots = reactions::act(&mut transaction, &taken, &notifications, &configurations, outgoing).await?;
        self.commit(transaction, slots).await.map_err(|error| classify(&error))?;
        Ok(taken.len())
    }
}

async fn sort_in(
    transaction: &mut Transaction<'_, Postgres>,
    taken: &[Queued],
    notifications: &HashMap<Uuid, Notification>,
    configurations: &HashMap<String, Arc<Configuration>>,
) -> Result<(), sqlx::Error> {
    let (mut groups, mut escalations) = (Groups::default(), Escalations::default());
    let (mut members, mut news) = (Vec::new(), Vec::new());
    for Queued { tenant, notification_id: id, news: version, .. } in taken {
        let (Some(notification), Some(configuration)) = (notifications.get(id), configurations.get(tenant)) else {
            continue;
        };
        if !is_unresolved(notification) {
            continue;
        }
        let labels = labels_of(notification);
        for destination in destinations(&configuration.routes, &labels) {
            let escalation = destination.escalation.as_ref().and_then(|name| Some((name, configuration.escalations.get(name)?.step(0)?)));
            if let Some((name, first)) = escalation {
                escalations.notifications.push(*id);
                escalations.names.push(name.clone());
                escalations.tenants.push(tenant.clone());
                escalations.waits.push(first.after.duration().as_secs_f64());
            }
            // A receiver that only acts has nobody to tell.
            let tells = |receiver: &Receiver| receiver.tells() || !receiver.acts();
            if !configuration.receivers.get(&destination.receiver).is_some_and(tells) {
                continue;
            }
            let key = destination.group_key(&labels);
            groups.ids.push(group_id(tenant, &destination.route, &destination.receiver, &key));
            groups.tenants.push(tenant.clone());
            groups.routes.push(destination.route);
            groups.receivers.push(destination.receiver);
            groups.keys.push(key);
            groups.waits.push(destination.timing.group_wait.duration().as_secs_f64());
            // What is open already and got worse, or came back, does not wait for the group's interval.
            groups.hurries.push(*version > 1);
            members.push(*id);
            news.push(*version);
        }
    }
    if !groups.ids.is_empty() {
        add_groups(transaction, &groups).await?;
        sqlx::query!(
            "INSERT INTO delivery_member AS m (group_id, notification_id, news)
             SELECT group_id, notification_id, max(news)
             FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS a (group_id, notification_id, news)
             GROUP BY group_id, notification_id
             ON CONFLICT (group_id, notification_id) DO UPDATE SET news = greatest(m.news, EXCLUDED.news)",
            &groups.ids,
            &members,
            &news
        )
        .execute(&mut **transaction)
        .await?;
    }
    if !escalations.names.is_empty() {
        sqlx::query!(
            "INSERT INTO escalation_timer (notification_id, escalation, tenant, started_at, due_at)
             SELECT DISTINCT ON (notification_id, escalation) notification_id, escalation, tenant, now(), now() + make_interval(secs => wait)
             FROM unnest($1::uuid[], $2::text[], $3::text[], $4::float8[]) AS a (notification_id, escalation, tenant, wait)
             ON CONFLICT (notification_id, escalation) DO UPDATE SET started_at = EXCLUDED.started_at, done = 0, due_at = EXCLUDED.due_at",
            &escalations.notifications,
            &escalations.names,
            &escalations.tenants,
            &escalations.waits
        )
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

async fn add_groups(transaction: &mut Transaction<'_, Postgres>, groups: &Groups) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO delivery_group AS g (group_id, tenant, route, receiver, group_key, next_flush_at)
         SELECT group_id, tenant, route, receiver, group_key, now() + make_interval(secs => wait)
         FROM (SELECT DISTINCT ON (group_id) * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::float8[], $7::bool[])
               AS a (group_id, tenant, route, receiver, group_key, wait, hurry) ORDER BY group_id, hurry DESC) a
         ORDER BY group_id
         ON CONFLICT (group_id) DO UPDATE SET next_flush_at = CASE
             WHEN g.group_id IN (SELECT group_id FROM unnest($1::uuid[], $7::bool[]) AS h (group_id, hurry) WHERE hurry)
             THEN least(g.next_flush_at, EXCLUDED.next_flush_at) ELSE g.next_flush_at END",
        &groups.ids,
        &groups.tenants,
        &groups.routes,
        &groups.receivers,
        &groups.keys,
        &groups.waits,
        &groups.hurries
    )
    .execute(&mut **transaction)
    .await
    .map(drop)
}

/// The id of a group, the same whoever makes it.
fn group_id(tenant: &str, route: &str, receiver: &str, key: &str) -> Uuid {
    events::identity::uuid_of("delivery group", &[tenant, route, receiver, key])
}
