//! Sending rows, and what follows from how it went.

use std::sync::Arc;
use std::time::Instant;

use stream::Failure;

use super::lane::Lane;
use super::{Parts, Trouble};
use crate::adapters::postgres::Dead;
use crate::domain::{Delivery, Fault, Lease, NextStep, Row, judge};

impl Lane {
    /// Sends `rows` as far as the leases they were read under can still be trusted, and draws the consequences.
    pub(super) async fn send(&mut self, mut rows: Vec<Row>, alone: bool) -> Result<(), Trouble> {
        let Parts { records, tenure, config, measures, .. } = &*self.parts;
        let missing = records.missing(self.doubts.unproven(&rows)).await.map_err(Trouble::Kafka)?;
        let Some(until) = tenure.send_until(&self.leases, config.publish.timeout) else {
            return Ok(());
        };
        measures.under_way(rows.len() as i64);
        let deliveries = records.publish(&mut rows, &missing, alone, until).await;
        measures.under_way(-(rows.len() as i64));
        self.conclude(&rows, &deliveries.map_err(Trouble::Kafka)?, alone).await
    }

    async fn conclude(&mut self, rows: &[Row], deliveries: &[Delivery], alone: bool) -> Result<(), Trouble> {
        for (row, delivery) in rows.iter().zip(deliveries) {
            self.doubts.learn(row, delivery);
        }
        if deliveries.contains(&Delivery::Delivered) {
            self.parts.records.is_there(true);
        } else if let Some(problem) = nothing_but_unavailable(deliveries) {
            return Err(Trouble::Kafka(Failure::transient(problem)));
        }
        let outcome = judge(rows, deliveries);
        self.acknowledged.reserve(outcome.published.len());
        for row in &outcome.published {
            self.holds.lift(&row.aggregate);
            self.acknowledged.push(row.seen());
        }
        self.parts.measures.published.inc_by(outcome.published.len() as u64);
        for (row, delivery) in outcome.failed {
            self.hold(row, delivery, alone).await?;
        }
        Ok(())
    }

    /// The row's aggregate waits, or the row has had its chances.
    async fn hold(&mut self, row: &Row, delivery: &Delivery, alone: bool) -> Result<(), Trouble> {
        let parts = Arc::clone(&self.parts);
        let (fault, problem) = match delivery {
            Delivery::Rejected(problem) => (Fault::Rejected { alone }, problem.as_str()),
            Delivery::Unavailable(problem) => (Fault::Unavailable, problem.as_str()),
            Delivery::Delivered | Delivery::Withheld => return Ok(()),
        };
        let (id, aggregate, topic) = (row.id.0, &row.aggregate, &row.topic);
        if let NextStep::GiveUp { attempts } = self.holds.failed(aggregate, row.id, fault, Instant::now(), rand::random())
            && let Some(&lease) = self.leases.iter().find(|lease: &&Lease| lease.slot == row.slot)
        {
            let dead = Dead { id: row.id, error: problem, attempts, block: &parts.config.retry.block };
            if parts.store.bury(parts.tenure.owner(), lease, dead).await.map_err(Trouble::Postgres)? {
                parts.measures.dead();
                tracing::error!(id, %aggregate, topic = &**topic, problem, attempts, "given up: moved to outbox_dead");
                self.holds.lift(aggregate);
                return Ok(());
            }
        }
        parts.measures.retried(fault);
        tracing::warn!(id, %aggregate, topic = &**topic, problem, "held back; it will be tried again");
        Ok(())
    }

    /// Until this has succeeded nothing new is read: the rows would be sent twice.
    pub(super) async fn delete_acknowledged(&mut self) -> Result<(), Trouble> {
        if self.acknowledged.is_empty() {
            return Ok(());
        }
        let Parts { store, tenure, config, .. } = &*self.parts;
        let deleted = store.delete(tenure.owner(), &self.leases, &self.acknowledged, config.archive.enabled).await;
        let kept = self.acknowledged.len() as u64 - deleted.map_err(Trouble::Postgres)?;
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
