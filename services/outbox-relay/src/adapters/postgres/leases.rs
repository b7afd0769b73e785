//! Who holds which slot, until when.
//!
//! Guarantees: a slot has one owner at a time in database time; its epoch grows with every claim, so what a former owner
//! still does can be told apart. A lease that ran out unclaimed can be renewed: nobody was in between.

use std::time::Duration;

use sqlx::Row as _;
use stream::Failure;

use super::Store;
use crate::domain::{Epoch, Lease, RowId, Slot};

/// What all relays see of each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    pub members: Vec<String>,
    /// Unexpired leases.
    pub taken: Vec<(Slot, String)>,
}

impl Store {
    /// Says that `owner` lives, prolongs all it holds and keeps the marks of what it holds under these leases; the answer is
    /// everything it holds.
    pub async fn renew(&self, owner: &str, duration: Duration, marks: &[(Lease, RowId)]) -> Result<Vec<Lease>, Failure> {
        let alive = "INSERT INTO outbox_member (owner, expires_at) VALUES ($1, now() + make_interval(secs => $2))
                     ON CONFLICT (owner) DO UPDATE SET expires_at = EXCLUDED.expires_at";
        let prolong = "
            UPDATE outbox_lease AS lease
            SET expires_at = now() + make_interval(secs => $2),
                mark = coalesce((SELECT of.mark FROM unnest($3::smallint[], $4::bigint[], $5::bigint[]) AS of (slot, epoch, mark)
                                 WHERE of.slot = lease.slot AND of.epoch = lease.epoch), lease.mark)
            WHERE owner = $1
            RETURNING slot, epoch";
        let renewed = self.on(&self.control, async |connection| {
            sqlx::query(alive).bind(owner).bind(duration.as_secs_f64()).execute(&mut *connection).await?;
            sqlx::query_as(prolong)
                .bind(owner)
                .bind(duration.as_secs_f64())
                .bind(marks.iter().map(|(lease, _)| lease.slot.0).collect::<Vec<_>>())
                .bind(marks.iter().map(|(lease, _)| lease.epoch.0).collect::<Vec<_>>())
                .bind(marks.iter().map(|(_, mark)| mark.0).collect::<Vec<_>>())
                .fetch_all(connection)
                .await
        });
        Ok(leases(renewed.await?))
    }

    /// Up to where nothing is or may become visible in all the slots of `leases`, as was last kept.
    pub async fn mark(&self, leases: &[Lease]) -> Result<RowId, Failure> {
        let mark = "SELECT coalesce(min(mark), 0) FROM outbox_lease WHERE slot = ANY ($1)";
        let slots: Vec<i16> = leases.iter().map(|lease| lease.slot.0).collect();
        let mark = self.on(&self.rows, async |connection| sqlx::query_scalar(mark).bind(&slots).fetch_one(connection).await);
        mark.await.map(RowId)
    }

    /// The members that live and the slots they hold.
    pub async fn membership(&self) -> Result<Membership, Failure> {
        self.on(&self.control, async |connection| {
            sqlx::query("DELETE FROM outbox_member WHERE expires_at <= now()").execute(&mut *connection).await?;
            let members = sqlx::query_scalar("SELECT owner FROM outbox_member").fetch_all(&mut *connection).await?;
            let taken = sqlx::query("SELECT slot, owner FROM outbox_lease WHERE owner IS NOT NULL AND expires_at > now()");
            let taken = taken.fetch_all(connection).await?;
            let taken = taken.iter().map(|row| Ok((Slot(row.try_get("slot")?), row.try_get("owner")?)));
            Ok(Membership { members, taken: taken.collect::<Result<_, sqlx::Error>>()? })
        })
        .await
    }

    /// Takes those of `slots` that are free by now; the answer is what was taken.
    pub async fn claim(&self, owner: &str, slots: &[Slot], duration: Duration) -> Result<Vec<Lease>, Failure> {
        // Who finds a slot being taken leaves it, instead of waiting: two claims cannot deadlock.
        let claim = "
            WITH free AS (
                SELECT slot FROM outbox_lease WHERE slot = ANY ($2) AND (owner IS NULL OR expires_at <= now()) FOR UPDATE SKIP LOCKED
            )
            UPDATE outbox_lease AS lease
            SET owner = $1, epoch = epoch + 1, expires_at = now() + make_interval(secs => $3)
            FROM free WHERE lease.slot = free.slot
            RETURNING lease.slot, lease.epoch";
        let claimed = self.on(&self.control, async |connection| {
            sqlx::query_as(claim).bind(owner).bind(numbers(slots)).bind(duration.as_secs_f64()).fetch_all(connection).await
        });
        Ok(leases(claimed.await?))
    }

    /// Gives slots up; anyone may claim them at once.
    pub async fn release(&self, owner: &str, slots: &[Slot]) -> Result<(), Failure> {
        let release = "UPDATE outbox_lease SET owner = NULL, expires_at = '-infinity' WHERE owner = $1 AND slot = ANY ($2)";
        self.on(&self.control, async |connection| sqlx::query(release).bind(owner).bind(numbers(slots)).execute(connection).await.map(drop))
            .await
    }

    /// Gives everything up: the others' shares grow at once.
    pub async fn leave(&self, owner: &str) -> Result<(), Failure> {
        let release = "UPDATE outbox_lease SET owner = NULL, expires_at = '-infinity' WHERE owner = $1";
        self.on(&self.control, async |connection| {
            sqlx::query(release).bind(owner).execute(&mut *connection).await?;
            sqlx::query("DELETE FROM outbox_member WHERE owner = $1").bind(owner).execute(connection).await.map(drop)
        })
        .await
    }
}

fn numbers(slots: &[Slot]) -> Vec<i16> {
    slots.iter().map(|slot| slot.0).collect()
}

fn leases(rows: Vec<(i16, i64)>) -> Vec<Lease> {
    rows.into_iter().map(|(slot, epoch)| Lease { slot: Slot(slot), epoch: Epoch(epoch) }).collect()
}
