//! The loop: read a batch of the slots held, send all of it, await all of it, delete what was acknowledged.
//!
//! Guarantees: a row is deleted only after its acknowledgement and under the lease it was read with; a failure of one row
//! holds back its own aggregate alone; while Kafka or Postgres is away nothing is lost and nothing spins.

mod sending;

use std::pin::pin;
use std::time::{Duration, Instant};

use service::{HealthCheck, Shutdown};
use stream::Failure;
use tokio::time::{sleep, sleep_until};

use crate::adapters::kafka::Records;
use crate::adapters::postgres::{Extent, Store};
use crate::config::Config;
use crate::domain::{Backoff, Depth, Doubts, Holds, Lease, Pace, Row, RowId, SLOTS, plan};
use crate::measures::Measures;
use crate::tenure::Tenure;

/// Rows above this size are sent with nothing of their aggregate behind them: Kafka might reject them.
const LARGE: usize = 256 * 1024;
/// Rejected rows tried again in one round, one after another.
const MOST_ALONE: usize = 20;
/// A cluster that acknowledged nothing for this long is asked whether it is there.
const REACH_EVERY: Duration = Duration::from_secs(5);

/// How the relay stands with what it needs.
pub(crate) struct Checks {
    pub(crate) kafka: HealthCheck,
    pub(crate) postgres: HealthCheck,
}

/// What went wrong in a round, by who it was with.
enum Trouble {
    Kafka(Failure),
    Postgres(Failure),
}

pub(crate) struct Relay {
    store: Store,
    records: Records,
    tenure: Tenure,
    config: Config,
    checks: Checks,
    shutdown: Shutdown,
    measures: Measures,
    backoff: Backoff,
    holds: Holds,
    doubts: Doubts,
    depth: Depth,
    pace: Pace,
    migrated: bool,
    /// When Kafka last showed that it is there.
    reached: Option<Instant>,
    /// Not deleted yet, with the leases they were read under.
    acknowledged: Vec<(RowId, Lease)>,
}

impl Relay {
    pub(crate) fn new(config: Config, store: Store, records: Records, tenure: Tenure, checks: Checks, shutdown: Shutdown) -> Self {
        let backoff = config.retry.backoff();
        Self {
            backoff,
            holds: Holds::new(config.retry.attempts, backoff),
            doubts: Doubts::new(LARGE),
            depth: Depth::new(config.relay.batch),
            pace: Pace::new(config.relay.idle_shortest, config.relay.idle_longest),
            migrated: !config.database.migrate,
            reached: None,
            acknowledged: Vec::new(),
            measures: Measures::new(),
            store,
            records,
            tenure,
            config,
            checks,
            shutdown,
        }
    }

    /// Runs until the shutdown; Fatal ends it earlier. Either way nothing is left under way and the slots are free.
    pub(crate) async fn run(mut self) -> anyhow::Result<()> {
        let mut failures = 0;
        let mut outcome = Ok(());
        while outcome.is_ok() && !self.shutdown.is_cancelled() {
            self.checks.postgres.beat();
            let pause = match self.round().await {
                Ok(pause) => {
                    failures = 0;
                    pause
                }
                Err(trouble) => {
                    failures += 1;
                    outcome = self.note(trouble);
                    self.backoff.delay(failures, rand::random())
                }
            };
            let shutdown = self.shutdown.clone();
            self.meanwhile(async move {
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = sleep(pause) => {}
                }
            })
            .await;
        }
        self.leave().await;
        outcome
    }

    /// Says what is wrong, to people and to the probe.
    fn note(&mut self, trouble: Trouble) -> anyhow::Result<()> {
        let (what, check, failure) = match trouble {
            Trouble::Kafka(failure) => {
                self.reached = None;
                ("publishing", &self.checks.kafka, failure)
            }
            Trouble::Postgres(failure) => ("reading the outbox", &self.checks.postgres, failure),
        };
        failure.note(what);
        check.not_ready(failure.to_string());
        if matches!(failure, Failure::Fatal(_)) { Err(anyhow::Error::new(failure)) } else { Ok(()) }
    }

    async fn round(&mut self) -> Result<Duration, Trouble> {
        self.prepare().await?;
        let began = Instant::now();
        let leases = self.tenure.trusted(self.config.publish.timeout);
        let rows = self.read(&leases).await?;
        if rows.is_empty() {
            return Ok(self.pace.none());
        }
        let more = self.is_more_waiting(&leases, &rows);
        let plan = plan(rows, &self.holds, &self.doubts, MOST_ALONE);
        self.send(plan.together, &leases, false).await?;
        self.delete_acknowledged().await?;
        for row in plan.alone {
            if self.shutdown.is_cancelled() {
                break;
            }
            self.send(vec![row], &leases, true).await?;
        }
        self.delete_acknowledged().await?;
        self.measures.batch(began.elapsed());
        Ok(if more || plan.deferred > 0 { self.pace.more() } else { self.pace.some() })
    }

    /// Everything that has to be so before a batch: tables, leases, Kafka, and no acknowledged row still in the outbox.
    async fn prepare(&mut self) -> Result<(), Trouble> {
        if !self.migrated {
            self.store.migrate().await.map_err(Trouble::Postgres)?;
            self.migrated = true;
        }
        if Instant::now() >= self.tenure.next_renewal() {
            self.renew().await.map_err(Trouble::Postgres)?;
        }
        if self.tenure.rebalance_is_due() {
            self.tenure.rebalance().await.map_err(Trouble::Postgres)?;
            self.measures.oldest(self.store.oldest().await.map_err(Trouble::Postgres)?);
        }
        self.delete_acknowledged().await?;
        if self.reached.is_none_or(|reached| reached.elapsed() >= REACH_EVERY) {
            self.reached = None;
            let records = self.records.clone();
            self.meanwhile(async move { records.reach().await }).await.map_err(Trouble::Kafka)?;
            self.kafka_is_there();
        }
        Ok(())
    }

    fn kafka_is_there(&mut self) {
        self.reached = Some(Instant::now());
        self.checks.kafka.ready();
    }

    async fn read(&mut self, leases: &[Lease]) -> Result<Vec<Row>, Trouble> {
        let extent =
            Extent { depth: self.depth.of(leases.len()), rows: self.config.relay.batch, bytes: self.config.relay.batch_bytes.as_u64() };
        let waiting = self.holds.waiting(Instant::now());
        let rows = self.store.pending(leases, &waiting, extent).await.map_err(Trouble::Postgres)?;
        self.checks.postgres.ready();
        Ok(rows)
    }

    /// Whether the outbox is likely to hold more than `rows`; sets how deep to read next.
    fn is_more_waiting(&mut self, leases: &[Lease], rows: &[Row]) -> bool {
        let mut of_slot = [0; SLOTS];
        for row in rows {
            of_slot[row.slot.0 as usize % SLOTS] += 1;
        }
        let most = of_slot.into_iter().max().unwrap_or_default();
        let cut_short = most >= self.depth.of(leases.len());
        self.depth.learn(leases.len(), rows.len(), most);
        let bytes: usize = rows.iter().map(|row| row.payload.len()).sum();
        cut_short || rows.len() >= self.config.relay.batch || bytes as u64 >= self.config.relay.batch_bytes.as_u64()
    }

    /// Does `work` and keeps the leases meanwhile.
    async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                result = &mut work => return result,
                () = sleep_until(self.tenure.next_renewal().into()) => {}
            }
            if let Err(failure) = self.renew().await {
                failure.note("renewing leases");
            }
        }
    }

    async fn renew(&mut self) -> Result<(), Failure> {
        if !self.tenure.renew().await?.is_empty() {
            // Whoever has the slots now judges for itself.
            self.holds.forget();
        }
        Ok(())
    }

    /// What cannot be given back runs out by itself.
    async fn leave(&mut self) {
        if let Err(Trouble::Kafka(failure) | Trouble::Postgres(failure)) = self.delete_acknowledged().await {
            failure.note("deleting what was published");
        }
        if let Err(failure) = self.tenure.leave().await {
            failure.note("giving the slots back");
        }
        self.store.close().await;
    }
}
