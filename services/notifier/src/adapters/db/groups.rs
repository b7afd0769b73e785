//! A group's turn: who in it is quiet, what is told, and to whom; one transaction that holds the group's row.
//!
//! Guarantees: of several replicas one has a group's turn, and a delivery row is there if and only if its news count as
//! told: nothing is told twice because there are two replicas, nothing is lost because one died.

use std::collections::BTreeMap;
use std::time::Duration;

use events::{Labels, Notification, Timestamp};
use sqlx::{PgConnection, Postgres, Transaction};
use stream::Failure;
use time::OffsetDateTime;
use uuid::Uuid;

use super::rows::date;
use super::{Store, classify, deliveries, list};
use crate::adapters::payload::{DeliveryDocument, DeliveryType};
use crate::domain::configuration::Configuration;
use crate::domain::grouping::{self, Member, Turn};
use crate::domain::matcher::labels_of;
use crate::domain::pace::{Admission, Pace};
use crate::domain::routing::{Destination, destinations};
use crate::domain::suppression::suppressor;

/// How deliveries are made.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub per_minute: u32,
    pub give_up_after: Duration,
    pub heartbeat: Duration,
}

/// A group's turn that is over.
#[derive(Debug)]
pub struct Flushed {
    /// Webhook deliveries it led to.
    pub deliveries: usize,
    /// What keeps which of its notifications quiet now, where that is not what they say: (tenant, id, by).
    pub marks: Vec<(String, Uuid, Option<String>)>,
}

struct Group {
    id: Uuid,
    tenant: String,
    route: String,
    receiver: String,
    key: String,
    told_at: Option<OffsetDateTime>,
    now: OffsetDateTime,
}

struct Candidate {
    notification: Notification,
    labels: Labels,
    destination: Option<Destination>,
    suppressed_by: Option<String>,
    news: i64,
    told: Option<i64>,
}

impl Candidate {
    fn member(&self) -> Member {
        Member {
            state: self.notification.state,
            news: self.news,
            told: self.told,
            suppressed: self.suppressed_by.is_some(),
            routed: self.destination.is_some(),
        }
    }

    fn id(&self) -> Uuid {
        self.notification.notification_id.parse().unwrap_or_default()
    }
}

impl Store {
    /// The turn of one group that is due; `None` when none is, or others have them.
    pub async fn flush_group(&self, limits: &Limits) -> Result<Option<Flushed>, Failure> {
        let mut transaction = self.pool.begin().await.map_err(|error| classify(&error))?;
        let due = sqlx::query_as!(
            Group,
            r#"SELECT group_id AS id, tenant, route, receiver, group_key AS key, told_at, clock_timestamp() AS "now!"
               FROM delivery_group WHERE next_flush_at <= now() ORDER BY next_flush_at LIMIT 1 FOR UPDATE SKIP LOCKED"#
        );
        let Some(group) = due.fetch_optional(&mut *transaction).await.map_err(|error| classify(&error))? else { return Ok(None) };
        let configuration = self.configured(&mut transaction, &group.tenant).await?;
        let flushed = turn(&mut transaction, &group, &configuration, limits).await.map_err(|error| classify(&error))?;
        transaction.commit().await.map_err(|error| classify(&error))?;
        Ok(Some(flushed))
    }
}

async fn turn(
    transaction: &mut Transaction<'_, Postgres>,
    group: &Group,
    configuration: &Configuration,
    limits: &Limits,
) -> Result<Flushed, sqlx::Error> {
    let now = Timestamp::from(group.now);
    let candidates = candidates(transaction, group, configuration, now).await?;
    let members: Vec<Member> = candidates.iter().map(Candidate::member).collect();
    let here = candidates.iter().find_map(|candidate| candidate.destination.as_ref());
    let receiver = configuration.receivers.get(&group.receiver);
    let flush = grouping::flush(
        &members,
        &Turn {
            now,
            told_at: group.told_at.map(Timestamp::from),
            timing: here.map_or(Destination::root().timing, |destination| destination.timing),
            muted: here.is_some_and(|destination| !destination.muted_by(&configuration.mute_times, now).is_empty()),
            send_resolved: receiver.is_some_and(|receiver| receiver.send_resolved),
        },
    );
    let mut made = 0;
    if let Some(because) = flush.because {
        let listed: Vec<&Notification> = flush.listed.iter().filter_map(|index| candidates.get(*index)).map(|c| &c.notification).collect();
        let document = DeliveryDocument {
            reason: Some(because.as_str().to_owned()),
            group_key: Some(format!("{}:{}", group.route, group.key)),
            ..DeliveryDocument::new(DeliveryType::Notifications, Some(&group.receiver)).about(&listed)
        };
        made = announce(transaction, &group.tenant, &group.receiver, configuration, &document, &listed, now, limits).await?;
    }
    let ids = |which: &[usize]| which.iter().filter_map(|index| candidates.get(*index)).map(Candidate::id).collect::<Vec<Uuid>>();
    if !flush.told.is_empty() {
        sqlx::query!(
            "UPDATE delivery_member SET told = news WHERE group_id = $1 AND notification_id = ANY($2)",
            group.id,
            &ids(&flush.told)
        )
        .execute(&mut **transaction)
        .await?;
    }
    if flush.forgotten.len() == candidates.len() {
        sqlx::query!("DELETE FROM delivery_group WHERE group_id = $1", group.id).execute(&mut **transaction).await?;
    } else {
        if !flush.forgotten.is_empty() {
            sqlx::query!("DELETE FROM delivery_member WHERE group_id = $1 AND notification_id = ANY($2)", group.id, &ids(&flush.forgotten))
                .execute(&mut **transaction)
                .await?;
        }
        sqlx::query!(
            "UPDATE delivery_group SET next_flush_at = $2, told_at = CASE WHEN $3 THEN $4 ELSE told_at END WHERE group_id = $1",
            group.id,
            date(flush.next),
            flush.because.is_some(),
            group.now
        )
        .execute(&mut **transaction)
        .await?;
    }
    let differs = |candidate: &&Candidate| {
        candidate.notification.suppressed_by != candidate.suppressed_by && crate::domain::lifecycle::is_unresolved(&candidate.notification)
    };
    let mark = |candidate: &Candidate| (candidate.notification.tenant.clone(), candidate.id(), candidate.suppressed_by.clone());
    Ok(Flushed { deliveries: made, marks: candidates.iter().filter(differs).map(mark).collect() })
}

/// The members, with where they lead now and what keeps them quiet.
async fn candidates(
    connection: &mut PgConnection,
    group: &Group,
    configuration: &Configuration,
    now: Timestamp,
) -> Result<Vec<Candidate>, sqlx::Error> {
    // Who holds the group's row holds its members: between these two statements none comes or goes.
    let members =
        sqlx::query!("SELECT notification_id, news, told FROM delivery_member WHERE group_id = $1 ORDER BY notification_id", group.id)
            .fetch_all(&mut *connection)
            .await?;
    let ids: Vec<Uuid> = members.iter().map(|member| member.notification_id).collect();
    let mut notifications = list::by_id(connection, &ids).await?;
    let mut candidates = Vec::with_capacity(members.len());
    for member in members {
        let Some(notification) = notifications.remove(&member.notification_id) else { continue };
        let labels = labels_of(&notification);
        let here = |to: &Destination| to.route == group.route && to.receiver == group.receiver && to.group_key(&labels) == group.key;
        let destination = destinations(&configuration.routes, &labels).into_iter().find(here);
        let (news, told) = (member.news, member.told);
        candidates.push(Candidate { notification, labels, destination, suppressed_by: None, news, told });
    }
    let devices: Vec<String> = candidates.iter().filter_map(|candidate| candidate.notification.device_id.clone()).collect();
    let offline = list::offline(connection, &group.tenant, &devices).await?;
    for candidate in &mut candidates {
        candidate.suppressed_by = suppressor(&candidate.notification, &candidate.labels, &configuration.silences, &offline, now);
    }
    Ok(candidates)
}

impl Store {
    /// What says that a device is offline, if something does.
    pub async fn offline(&self, tenant: &str, device: &str) -> Result<Vec<Notification>, sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        list::offline(&mut connection, tenant, &[device.to_owned()]).await
    }
}

/// Makes the deliveries of an announcement, or holds it back when the receiver had its share of the minute.
#[expect(clippy::too_many_arguments, reason = "one announcement, all of it")]
pub(super) async fn announce(
    transaction: &mut Transaction<'_, Postgres>,
    tenant: &str,
    receiver: &str,
    configuration: &Configuration,
    document: &DeliveryDocument,
    about: &[&Notification],
    now: Timestamp,
    limits: &Limits,
) -> Result<usize, sqlx::Error> {
    let mut pace = pace(transaction, tenant, receiver).await?;
    let admission = pace.admit(now, limits.per_minute);
    save_pace(transaction, tenant, receiver, pace).await?;
    if admission == Admission::Send {
        return deliveries::make(transaction, tenant, receiver, configuration, document, limits.give_up_after).await;
    }
    sqlx::query!(
        "INSERT INTO held_notification (tenant, receiver, notification_id) SELECT $1, $2, * FROM unnest($3::uuid[]) ON CONFLICT DO NOTHING",
        tenant,
        receiver,
        &about.iter().filter_map(|notification| notification.notification_id.parse().ok()).collect::<Vec<Uuid>>()
    )
    .execute(&mut **transaction)
    .await?;
    Ok(0)
}

/// A receiver's pace, locked until the transaction ends.
async fn pace(transaction: &mut Transaction<'_, Postgres>, tenant: &str, receiver: &str) -> Result<Pace, sqlx::Error> {
    sqlx::query!("INSERT INTO receiver_pace (tenant, receiver) VALUES ($1, $2) ON CONFLICT DO NOTHING", tenant, receiver)
        .execute(&mut **transaction)
        .await?;
    sqlx::query!("SELECT began_at, sent, held FROM receiver_pace WHERE tenant = $1 AND receiver = $2 FOR UPDATE", tenant, receiver)
        .map(|row| Pace { began_at: row.began_at.map(Timestamp::from), sent: row.sent.unsigned_abs(), held: row.held.unsigned_abs() })
        .fetch_one(&mut **transaction)
        .await
}

async fn save_pace(transaction: &mut Transaction<'_, Postgres>, tenant: &str, receiver: &str, pace: Pace) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE receiver_pace SET began_at = $3, sent = $4, held = $5 WHERE tenant = $1 AND receiver = $2",
        tenant,
        receiver,
        pace.began_at.map(date),
        pace.sent.cast_signed(),
        pace.held.cast_signed()
    )
    .execute(&mut **transaction)
    .await
    .map(drop)
}

impl Store {
    /// The summary of one receiver whose minute is over; `None` when no one is owed any.
    pub async fn summarise(&self, limits: &Limits) -> Result<Option<usize>, Failure> {
        let mut transaction = self.pool.begin().await.map_err(|error| classify(&error))?;
        let owed = sqlx::query!(
            r#"SELECT tenant, receiver, clock_timestamp() AS "now!" FROM receiver_pace
               WHERE held > 0 AND began_at <= now() - interval '1 minute' ORDER BY began_at LIMIT 1 FOR UPDATE SKIP LOCKED"#
        )
        .fetch_optional(&mut *transaction)
        .await
        .map_err(|error| classify(&error))?;
        let Some(owed) = owed else { return Ok(None) };
        let configuration = self.configured(&mut transaction, &owed.tenant).await?;
        let making = summary(&mut transaction, &owed.tenant, &owed.receiver, &configuration, owed.now.into(), limits);
        let made = making.await.map_err(|error| classify(&error))?;
        transaction.commit().await.map_err(|error| classify(&error))?;
        Ok(Some(made))
    }
}

async fn summary(
    transaction: &mut Transaction<'_, Postgres>,
    tenant: &str,
    receiver: &str,
    configuration: &Configuration,
    now: Timestamp,
    limits: &Limits,
) -> Result<usize, sqlx::Error> {
    let mut pace = pace(transaction, tenant, receiver).await?;
    if !pace.take_summary(now) {
        return Ok(0);
    }
    save_pace(transaction, tenant, receiver, pace).await?;
    let held = sqlx::query_scalar!(
        "DELETE FROM held_notification WHERE tenant = $1 AND receiver = $2 RETURNING notification_id",
        tenant,
        receiver
    )
    .fetch_all(&mut **transaction)
    .await?;
    // Sorted for nothing but that the same summary reads the same.
    let held: BTreeMap<Uuid, Notification> = list::by_id(transaction, &held).await?.into_iter().collect();
    let about: Vec<&Notification> = held.values().collect();
    let document = DeliveryDocument::new(DeliveryType::Summary, Some(receiver)).about(&about);
    deliveries::make(transaction, tenant, receiver, configuration, &document, limits.give_up_after).await
}
