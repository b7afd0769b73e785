//! One endpoint, as long as it is ours and has something due.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use events::Timestamp;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use service::Shutdown;
use stream::Failure;
use telemetry::metrics;
use tokio::time::Instant;
use uuid::Uuid;

use super::Sender;
use super::attempt::{Attempted, Target, attempt};
use crate::adapters::db::{Due, Ended, Kind, Lease, classify};
use crate::adapters::endpoint_secret::EndpointSecret;
use crate::domain::breaker::Breaker;
use crate::domain::retry::Verdict;
use crate::domain::webhook::Webhook;

/// Deliveries read ahead.
const AHEAD: i64 = 64;

struct Work<'a> {
    sender: &'a Sender,
    lease: Lease,
    breaker: Breaker,
    target: Arc<Target>,
    /// The database's clock when the lease was renewed last, and ours.
    renewed: (Timestamp, Instant),
    ready: VecDeque<Due>,
    under_way: FuturesUnordered<BoxFuture<'a, Attempted>>,
    busy: Vec<Uuid>,
    next_send: Instant,
}

impl Sender {
    pub(super) async fn work(&self, lease: Lease, breaker: Breaker, shutdown: &Shutdown) -> Result<(), Failure> {
        let database = |error: sqlx::Error| classify(&error);
        let Some(now) = self.store.renew(&lease, self.config.lease).await.map_err(database)? else { return Ok(()) };
        let Some((ready, target)) = self.due(&lease, &[]).await? else {
            return self.store.release(&lease).await.map_err(database);
        };
        let work = Work {
            sender: self,
            lease: lease.clone(),
            breaker,
            target,
            renewed: (now, Instant::now()),
            ready,
            under_way: FuturesUnordered::new(),
            busy: Vec::new(),
            next_send: Instant::now(),
        };
        work.run(shutdown).await?;
        self.store.release(&lease).await.map_err(database)
    }

    /// What is due, and where it goes as that is configured now: an endpoint that is never idle hears of a new secret or
    /// address too. `None`: nothing is due, or the webhook is gone.
    async fn due(&self, lease: &Lease, busy: &[Uuid]) -> Result<Option<(VecDeque<Due>, Arc<Target>)>, Failure> {
        let due = self.store.due(lease, busy, AHEAD).await.map_err(|error| classify(&error))?;
        if due.is_empty() {
            return Ok(None);
        }
        Ok(self.target(lease).await?.map(|target| (due.into(), Arc::new(target))))
    }

    /// The endpoint as it is configured; `None` when it is gone. A secret that cannot be opened keeps everything waiting.
    async fn target(&self, lease: &Lease) -> Result<Option<Target>, Failure> {
        let (tenant, name) = (&lease.tenant, &lease.name);
        let entry = self.store.entry(tenant, lease.kind, name).await.map_err(|error| classify(&error))?;
        if lease.kind == Kind::Email {
            let email = entry.map(|entry| serde_json::from_value(entry.document)).transpose().map_err(Failure::transient)?;
            return Ok(email.map(Target::Email));
        }
        let sealed = self.store.webhook_secret(tenant, name).await.map_err(|error| classify(&error))?;
        let Some((entry, sealed)) = entry.zip(sealed) else { return Ok(None) };
        let webhook: Webhook = serde_json::from_value(entry.document).map_err(Failure::transient)?;
        let secret = EndpointSecret::open(&self.vault, tenant, name, &sealed)
            .map_err(|problem| Failure::transient(format!("the secret of webhook {name}: {problem}")))?;
        Ok(Some(Target::Webhook { webhook, secret }))
    }
}

impl Work<'_> {
    async fn run(mut self, shutdown: &Shutdown) -> Result<(), Failure> {
        let sender = self.sender;
        while self.keep().await? {
            let concurrency = if shutdown.is_cancelled() { 0 } else { self.target.concurrency() };
            let mut free = (self.breaker.allowed(self.now(), concurrency) as usize).saturating_sub(self.under_way.len());
            if free > 0
                && self.ready.is_empty()
                && let Some((ready, target)) = sender.due(&self.lease, &self.busy).await?
            {
                (self.ready, self.target) = (ready, target);
            }
            let gap = Duration::from_secs_f64(1.0 / self.target.rate_per_second());
            while free > 0
                && self.next_send <= Instant::now()
                && let Some(due) = self.ready.pop_front()
            {
                self.busy.push(due.delivery_id);
                let target = Arc::clone(&self.target);
                self.under_way.push(Box::pin(async move { attempt(sender, &target, due).await }));
                self.next_send = Instant::now() + gap;
                free -= 1;
            }
            let waits_for_rate = free > 0 && !self.ready.is_empty();
            if self.under_way.is_empty() && !waits_for_rate {
                break;
            }
            tokio::select! {
                Some(attempted) = self.under_way.next() => {
                    if !self.ended(attempted).await? {
                        break;
                    }
                }
                () = tokio::time::sleep_until(self.next_send), if waits_for_rate => {}
                () = tokio::time::sleep(sender.config.lease / 3) => {}
            }
        }
        Ok(())
    }

    fn now(&self) -> Timestamp {
        let (database, ours) = self.renewed;
        database.saturating_add(ours.elapsed())
    }

    /// Renews the lease in time; false when it was lost.
    async fn keep(&mut self) -> Result<bool, Failure> {
        if self.renewed.1.elapsed() < self.sender.config.lease / 3 {
            return Ok(true);
        }
        let renewed = self.sender.store.renew(&self.lease, self.sender.config.lease).await.map_err(|error| classify(&error))?;
        if let Some(now) = renewed {
            self.renewed = (now, Instant::now());
        }
        Ok(renewed.is_some())
    }

    /// Notes an attempt; false when the endpoint is no longer ours or wants nothing more.
    async fn ended(&mut self, attempted: Attempted) -> Result<bool, Failure> {
        let Attempted { due, at, duration, verdict, status, error } = attempted;
        let attempts = due.attempts + 1;
        let now = self.now();
        let retry = self.sender.schedule().wait(attempts, rand::random());
        let (state, next_in) = match verdict {
            Verdict::Delivered => {
                self.breaker.succeeded();
                ("DELIVERED", Duration::ZERO)
            }
            Verdict::Gone | Verdict::Refused => ("FAILED", Duration::ZERO),
            Verdict::Later(wait) => {
                self.breaker.rest(now, wait);
                ("PENDING", wait)
            }
            Verdict::Failed => {
                self.breaker.failed(now);
                ("PENDING", retry)
            }
        };
        let given_up = state == "PENDING" && now.saturating_add(next_in) > due.give_up_at;
        let state = if given_up { "FAILED" } else { state };
        let gone = verdict == Verdict::Gone;
        let ended = Ended { delivery_id: due.delivery_id, attempt: attempts, at, duration, status, error, state, next_in, gone };
        metrics::counter("fieldwatch_delivery_attempts", &[("channel", self.lease.kind.as_str()), ("outcome", state)]).inc();
        let noted = self.sender.store.attempted(&self.lease, &self.breaker, &ended).await.map_err(|error| classify(&error))?;
        self.busy.retain(|id| *id != due.delivery_id);
        Ok(noted && !gone)
    }
}
