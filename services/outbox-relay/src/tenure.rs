//! This relay's place among the others: it says that it lives, takes its fair share of slots and gives up what is more.
//!
//! Guarantees: a slot is given up only between batches, and not used from the moment that is asked for. Refuses: to
//! trust a lease for work that may end after it.

use std::time::{Duration, Instant};

use stream::Failure;
use telemetry::metrics::{GaugeF64, gauge};

use crate::adapters::postgres::Store;
use crate::config::LeaseConfig;
use crate::domain::{Lease, Leases, Slot, fair_share};

/// What this relay holds, and how it keeps it.
pub(crate) struct Tenure {
    owner: String,
    store: Store,
    config: LeaseConfig,
    leases: Leases,
    next_renewal: Instant,
    next_rebalance: Instant,
    slots: GaugeF64,
}

impl Tenure {
    pub(crate) fn new(owner: String, store: Store, config: LeaseConfig) -> Self {
        let slots = gauge("fieldwatch_outbox_slots", &[]);
        let now = Instant::now();
        Self { owner, store, config, leases: Leases::default(), next_renewal: now, next_rebalance: now, slots }
    }

    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }

    /// When to renew next.
    pub(crate) fn next_renewal(&self) -> Instant {
        self.next_renewal
    }

    pub(crate) fn rebalance_is_due(&self) -> bool {
        Instant::now() >= self.next_rebalance
    }

    /// Slots that no other relay serves within `needed` from now.
    pub(crate) fn trusted(&self, needed: Duration) -> Vec<Lease> {
        self.leases.trusted(Instant::now(), needed)
    }

    /// Prolongs what is held; returns the slots that were lost.
    pub(crate) async fn renew(&mut self) -> Result<Vec<Slot>, Failure> {
        let asked = Instant::now();
        // Also after a failure: whoever calls is kept from calling again at once.
        self.next_renewal = asked + self.config.renew_every;
        let renewed = self.store.renew(&self.owner, self.config.duration).await?;
        let lost = self.leases.renewed(&renewed, asked, self.config.duration);
        if !lost.is_empty() {
            tracing::warn!(slots = lost.len(), "leases were lost: this relay was silent for too long");
        }
        self.slots.set(self.leases.slots().len() as f64);
        Ok(lost)
    }

    /// Comes closer to the fair share. Nothing may be under way.
    pub(crate) async fn rebalance(&mut self) -> Result<(), Failure> {
        let seen = self.store.membership().await?;
        let share = fair_share(&self.owner, &seen.members, &seen.taken);
        if !share.release.is_empty() {
            // Forgotten first: should the answer be lost, another relay may have them already.
            self.leases.released(&share.release);
            self.store.release(&self.owner, &share.release).await?;
        }
        if !share.claim.is_empty() {
            let asked = Instant::now();
            let claimed = self.store.claim(&self.owner, &share.claim, self.config.duration).await?;
            self.leases.claimed(&claimed, asked, self.config.duration);
        }
        self.next_rebalance = Instant::now() + self.config.renew_every;
        let held = self.leases.slots().len();
        if !(share.claim.is_empty() && share.release.is_empty()) {
            tracing::info!(held, members = seen.members.len(), "slots shared anew");
        }
        self.slots.set(held as f64);
        Ok(())
    }

    /// Gives everything up. Nothing may be under way.
    pub(crate) async fn leave(&mut self) -> Result<(), Failure> {
        self.leases = Leases::default();
        self.slots.set(0.0);
        self.store.leave(&self.owner).await
    }
}
