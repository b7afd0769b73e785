//! Sending rows, and what follows from how it went.

use std::collections::HashSet;
use std::time::Instant;

use stream::Failure;

use super::{Relay, Trouble};
use crate::domain::{Delivery, Fault, Lease, NextStep, Row, judge};

impl Relay {
    /// Sends `rows` as far as the leases they were read under can still be trusted, and draws the consequences.
    pub(super) async fn send(&mut self, mut rows: Vec<Row>, read_under: &[Lease], alone: bool) -> Result<(), Trouble> {
        let unproven = self.doubts.unproven(&rows);
        let mut missing = HashSet::new();
        if !unproven.is_empty() {
            let records = self.records.clone();
            missing = self.meanwhile(async move { records.missing(unproven).await }).await.map_err(Trouble::Kafka)?;
        }
        let mut trusted = self.tenure.trusted(self.config.publish.timeout);
        trusted.retain(|lease| read_under.contains(lease));
        rows.retain(|row| trusted.iter().any(|lease| lease.slot == row.slot));

        let records = self.records.clone();
        let sent = async move {
            let deliveries = records.publish(&rows, &missing).await;
            (rows, deliveries)
        };
        let (rows, deliveries) = self.meanwhile(sent).await;
        self.conclude(&rows, &deliveries.map_err(Trouble::Kafka)?, read_under, alone).await
    }

    async fn conclude(&mut self, rows: &[Row], deliveries: &[Delivery], leases: &[Lease], alone: bool) -> Result<(), Trouble> {
        for (row, delivery) in rows.iter().zip(deliveries) {
            self.doubts.learn(row, delivery);
        }
        if deliveries.contains(&Delivery::Delivered) {
            self.kafka_is_there();
        } else if let Some(problem) = nothing_but_unavailable(deliveries) {
            return Err(Trouble::Kafka(Failure::transient(problem)));
        }
        let outcome = judge(rows, deliveries);
        let lease = |row: &Row| leases.iter().find(|lease| lease.slot == row.slot).copied();
        for row in &outcome.published {
            self.holds.lift(&row.aggregate);
            self.acknowledged.extend(lease(row).map(|lease| (row.id, lease)));
        }
        self.measures.published.inc_by(outcome.published.len() as u64);
        for (row, delivery) in outcome.failed {
            if let Some(lease) = lease(row) {
                self.hold(row, lease, delivery, alone).await?;
            }
        }
        Ok(())
    }

    /// The row's aggregate waits, or the row has had its chances.
    async fn hold(&mut self, row: &Row, lease: Lease, delivery: &Delivery, alone: bool) -> Result<(), Trouble> {
        let (fault, problem) = match delivery {
            Delivery::Rejected(problem) => (Fault::Rejected { alone }, problem.as_str()),
            Delivery::Unavailable(problem) => (Fault::Unavailable, problem.as_str()),
            Delivery::Delivered | Delivery::Withheld => return Ok(()),
        };
        let (id, aggregate, topic) = (row.id.0, &row.aggregate, &row.topic);
        match self.holds.failed(aggregate, row.id, fault, Instant::now(), rand::random()) {
            NextStep::Retry => {
                self.measures.retried(fault);
                tracing::warn!(id, %aggregate, topic, problem, "held back; it will be tried again");
            }
            NextStep::GiveUp { attempts } => {
                if self.store.bury(self.tenure.owner(), lease, row.id, problem, attempts).await.map_err(Trouble::Postgres)? {
                    self.measures.dead();
                    tracing::error!(id, %aggregate, topic, problem, attempts, "given up: moved to outbox_dead");
                }
                self.holds.lift(aggregate);
            }
        }
        Ok(())
    }

    /// Until this has succeeded nothing new is read: the rows would be sent twice.
    pub(super) async fn delete_acknowledged(&mut self) -> Result<(), Trouble> {
        if self.acknowledged.is_empty() {
            return Ok(());
        }
        let deleted = self.store.delete(self.tenure.owner(), &self.acknowledged).await.map_err(Trouble::Postgres)?;
        let kept = self.acknowledged.len() as u64 - deleted;
        if kept > 0 {
            tracing::warn!(rows = kept, "published under a lease that was lost; the new owner repeats them");
        }
        self.acknowledged.clear();
        Ok(())
    }
}

/// The first problem, when nothing was delivered and nothing rejected: Kafka is away.
fn nothing_but_unavailable(deliveries: &[Delivery]) -> Option<&str> {
    if deliveries.iter().any(|delivery| matches!(delivery, Delivery::Rejected(_))) {
        return None;
    }
    deliveries.iter().find_map(|delivery| match delivery {
        Delivery::Unavailable(problem) => Some(problem.as_str()),
        _ => None,
    })
}
