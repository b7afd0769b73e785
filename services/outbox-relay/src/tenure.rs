//! This relay's place among the others: it says that it lives, takes its fair share of slots and gives up what is more.
//!
//! Guarantees: a slot is given up only between batches, and not used from the moment that is asked for. Refuses: to
//! trust a lease for work that may end after it.

use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use stream::Failure;
use telemetry::metrics::{GaugeF64, gauge};
use tokio::sync::{RwLock, RwLockReadGuard};
use tokio::time::sleep;

use crate::adapters::postgres::Store;
use crate::config::LeaseConfig;
use crate::domain::{Lease, Leases, RowId, Slot, fair_share};

/// What this relay holds, and how it keeps it. One task renews; lanes ask what they may use.
pub(crate) struct Tenure {
    owner: String,
    store: Store,
    config: LeaseConfig,
    held: Mutex<Held>,
    batches: RwLock<()>,
    slots: GaugeF64,
}

#[derive(Default)]
struct Held {
    leases: Leases,
    /// Of each lane: nothing of these leases' slots is or may become visible up to this id.
    marks: Vec<(Vec<Lease>, RowId)>,
}

impl Tenure {
    pub(crate) fn new(owner: String, store: Store, config: LeaseConfig, lanes: usize) -> Self {
        let slots = gauge("fieldwatch_outbox_slots", &[]);
        let held = Held { marks: vec![(Vec::new(), RowId(0)); lanes], ..Held::default() };
        Self { owner, store, config, held: Mutex::new(held), batches: RwLock::default(), slots }
    }

    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }

    /// As long as the answer lives, a batch is under way and no slot is given up.
    pub(crate) async fn batch(&self) -> RwLockReadGuard<'_, ()> {
        self.batches.read().await
    }

    /// Those slots of `lane` that no other relay serves within `needed` from now.
    pub(crate) fn trusted(&self, (lane, lanes): (usize, usize), needed: Duration) -> Vec<Lease> {
        let mut leases = self.held().leases.trusted(Instant::now(), needed + self.config.clock_error);
        leases.retain(|lease| lease.slot.lane(lanes) == lane);
        leases
    }

    /// Nothing of `lane`'s slots, which it holds under `leases`, is or may become visible up to `mark`: to be kept for
    /// whoever has them next.
    pub(crate) fn nothing_up_to(&self, mark: RowId, lane: usize, leases: &[Lease]) {
        let kept = &mut self.held().marks[lane];
        kept.1 = mark;
        if kept.0 != leases {
            kept.0 = leases.to_vec();
        }
    }

    /// The moment from which on a record that may take `needed` must not be sent under `leases` as they are now.
    pub(crate) fn send_until(&self, leases: &[Lease], needed: Duration) -> Option<Instant> {
        self.held().leases.until(leases)?.checked_sub(needed + self.config.clock_error)
    }

    /// Prolongs what is held.
    pub(crate) async fn renew(&self) -> Result<(), Failure> {
        let asked = Instant::now();
        let marks = self.marks();
        let renewed = self.store.renew(&self.owner, self.config.duration, &marks).await?;
        let lost = self.held().leases.renewed(&renewed, asked, self.config.duration);
        if !lost.is_empty() {
            tracing::warn!(slots = lost.len(), "leases were lost: this relay was silent for too long");
        }
        self.tell();
        Ok(())
    }

    /// Comes closer to the fair share. Returns whether slots are still missing: a relay that died holds them a while longer.
    pub(crate) async fn rebalance(&self) -> Result<bool, Failure> {
        let seen = self.store.membership().await?;
        let share = fair_share(&self.owner, &seen.members, &seen.taken);
        if !share.release.is_empty() {
            // Forgotten first: should the answer be lost, another relay may have them already.
            self.held().leases.released(&share.release);
            self.until_no_batch_is_under_way(&share.release).await?;
            self.store.release(&self.owner, &share.release).await?;
        }
        if !share.claim.is_empty() {
            let asked = Instant::now();
            let claimed = self.store.claim(&self.owner, &share.claim, self.config.duration).await?;
            self.held().leases.claimed(&claimed, asked, self.config.duration);
        }
        if !(share.claim.is_empty() && share.release.is_empty()) {
            tracing::info!(held = self.held().leases.slots().len(), members = seen.members.len(), "slots shared anew");
        }
        self.tell();
        Ok(self.held().leases.slots().len() < share.of)
    }

    /// Gives everything up. Nothing may be under way.
    pub(crate) async fn leave(&self) -> Result<(), Failure> {
        self.held().leases = Leases::default();
        self.tell();
        self.store.leave(&self.owner).await
    }

    /// None begins meanwhile. Leases go on being renewed, and `slots` not being used.
    async fn until_no_batch_is_under_way(&self, slots: &[Slot]) -> Result<(), Failure> {
        let mut none = pin!(self.batches.write());
        loop {
            tokio::select! {
                biased;
                _ = &mut none => return Ok(()),
                () = sleep(self.config.renew_every) => {}
            }
            self.renew().await?;
            self.held().leases.released(slots);
        }
    }

    fn marks(&self) -> Vec<(Lease, RowId)> {
        self.held().marks.iter().flat_map(|(leases, mark)| leases.iter().map(|lease| (*lease, *mark))).collect()
    }

    fn tell(&self) {
        self.slots.set(self.held().leases.slots().len() as f64);
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
