//! One lane: read a batch of its slots, send all of it, await all of it, delete what was acknowledged. While one lane waits
//! for Kafka another reads or deletes; an aggregate belongs to one lane only.

use std::sync::Arc;
use std::time::{Duration, Instant};

use service::HealthCheck;
use tokio::time::sleep;

use super::{Parts, Trouble};
use crate::adapters::postgres::Extent;
use crate::domain::{Doubts, Holds, Lease, LowWater, Pace, Path, Reading, Row, RowId, SLOTS, Seen, plan};

/// Rows above this size are sent with nothing of their aggregate behind them: Kafka might reject them.
const LARGE: usize = 256 * 1024;
/// Rejected rows tried again in one round, one after another.
const MOST_ALONE: usize = 20;

pub(super) struct Lane {
    pub(super) parts: Arc<Parts>,
    /// Which, of how many.
    place: (usize, usize),
    pub(super) holds: Holds,
    pub(super) doubts: Doubts,
    reading: Reading,
    pace: Pace,
    low_water: LowWater,
    /// Not deleted yet, with the leases they were read under.
    pub(super) acknowledged: Vec<Seen>,
    pub(super) leases: Vec<Lease>,
}

/// Until the stop, or a Fatal failure; then nothing is under way.
pub(super) async fn run(parts: Arc<Parts>, lane: usize, check: HealthCheck) -> anyhow::Result<()> {
    let stop = parts.stop.clone();
    let mut lane = Lane::new(parts, lane);
    let (mut failures, mut outcome) = (0, Ok(()));
    // A wake began what is being worked on.
    let mut announced = false;
    while outcome.is_ok() && !stop.is_cancelled() {
        check.beat();
        // Before the round: a wake that comes while it reads is not lost.
        let parts = Arc::clone(&lane.parts);
        let mut woken = std::pin::pin!(parts.wakes[lane.place.0].notified());
        woken.as_mut().enable();
        let pause = match lane.round(announced).await {
            Ok(pause) => {
                failures = 0;
                check.ready();
                pause
            }
            Err(trouble) => {
                failures += 1;
                outcome = parts.note(trouble);
                let pause = parts.backoff().delay(failures, rand::random());
                stop.run_until_cancelled(sleep(pause)).await;
                continue;
            }
        };
        if !pause.is_zero() {
            announced = tokio::select! {
                () = stop.cancelled() => false,
                () = woken => true,
                () = sleep(pause) => false,
            };
        }
    }
    if let Err(Trouble::Kafka(failure) | Trouble::Postgres(failure)) = lane.delete_acknowledged().await {
        failure.note("deleting what was published");
    }
    outcome
}

impl Lane {
    fn new(parts: Arc<Parts>, lane: usize) -> Self {
        let (relay, retry, now) = (&parts.config.relay, &parts.config.retry, Instant::now());
        Self {
            place: (lane, relay.lanes),
            holds: Holds::new(retry.attempts, retry.backoff()),
            doubts: Doubts::new(LARGE),
            reading: Reading::new(relay.batch),
            pace: Pace::new(relay.idle_shortest, relay.idle_longest, now),
            low_water: LowWater::at(RowId(0), now),
            acknowledged: Vec::new(),
            leases: Vec::new(),
            parts,
        }
    }

    async fn round(&mut self, announced: bool) -> Result<Duration, Trouble> {
        let parts = Arc::clone(&self.parts);
        match parts.stop.run_until_cancelled(parts.records.reach()).await {
            None => return Ok(Duration::ZERO),
            Some(reached) => reached.map_err(Trouble::Kafka)?,
        }
        parts.kafka.ready();
        self.delete_acknowledged().await?;
        let _batch = parts.tenure.batch().await;
        let leases = parts.tenure.trusted(self.place, parts.config.publish.timeout);
        if leases != self.leases {
            // Whoever had the new slots, or has the lost ones now, judges for itself.
            self.holds.forget();
            self.low_water = LowWater::at(parts.store.mark(&leases).await.map_err(Trouble::Postgres)?, Instant::now());
            self.leases = leases;
        }
        if self.leases.is_empty() {
            return Ok(self.pace.none(Instant::now()));
        }
        self.sweep().await?;
        let began = Instant::now();
        let (rows, more) = self.read().await?;
        if rows.is_empty() {
            return Ok(self.pace.none(began));
        }
        let plan = plan(rows, &self.holds, &self.doubts, MOST_ALONE);
        self.send(plan.together, false).await?;
        self.delete_acknowledged().await?;
        for row in plan.alone {
            if parts.stop.is_cancelled() {
                break;
            }
            self.send(vec![row], true).await?;
        }
        self.delete_acknowledged().await?;
        parts.measures.batch(began.elapsed());
        Ok(self.pace.some(more || plan.deferred > 0, announced, Instant::now()))
    }

    /// The next rows, and whether more is likely to wait behind them.
    async fn read(&mut self) -> Result<(Vec<Row>, bool), Trouble> {
        let Parts { store, config, .. } = &*self.parts;
        let now = Instant::now();
        let above = self.low_water.mark();
        let waiting = self.holds.waiting(now);
        let slots = self.leases.len();
        let mut path = self.reading.path(slots);
        let extent = |path| Extent { path, rows: config.relay.batch, bytes: config.relay.batch_bytes.as_u64(), ..Extent::above(above) };
        let mut rows = store.pending(&self.leases, &waiting, extent(path)).await.map_err(Trouble::Postgres)?;
        if matches!(path, Path::Ids { .. }) && !self.is_full(&rows) {
            path = self.reading.by_slots(slots);
            rows = store.pending(&self.leases, &waiting, extent(path)).await.map_err(Trouble::Postgres)?;
        }
        let more = self.is_more_waiting(path, &rows);
        let id = |row: &Row| row.id;
        self.low_water.read(rows.first().map(id), rows.last().map(id), self.holds.lowest());
        self.parts.tenure.nothing_up_to(self.low_water.mark(), self.place.0, &self.leases);
        if self.low_water.wants_horizon(now) {
            let horizon = self.parts.store.horizon().await.map_err(Trouble::Postgres)?;
            self.low_water.horizon(horizon, now);
        }
        Ok((rows, more))
    }

    /// Looks for rows where none should be, when it is time to.
    async fn sweep(&mut self) -> Result<(), Trouble> {
        let began = Instant::now();
        if let Some((above, up_to)) = self.low_water.sweep(began) {
            let extent = Extent { up_to, rows: 1, ..Extent::above(above) };
            match self.parts.store.pending(&self.leases, &[], extent).await {
                Ok(found) => self.low_water.swept(!found.is_empty(), began.elapsed(), Instant::now()),
                Err(failure) => {
                    self.low_water.not_swept();
                    return Err(Trouble::Postgres(failure));
                }
            }
        }
        Ok(())
    }

    /// Whether the outbox is likely to hold more than `rows`; learns how to read next.
    fn is_more_waiting(&mut self, path: Path, rows: &[Row]) -> bool {
        let mut of_slot = [0; SLOTS];
        for row in rows {
            of_slot[row.slot.0 as usize % SLOTS] += 1;
        }
        let most = of_slot.into_iter().max().unwrap_or_default();
        let span = rows.last().zip(rows.first()).map_or(0, |(last, first)| last.id.0 - first.id.0);
        self.reading.learn(path, self.leases.len(), rows.len(), most, span);
        let cut_short = matches!(path, Path::Slots { each } if most >= each);
        cut_short || self.is_full(rows)
    }

    fn is_full(&self, rows: &[Row]) -> bool {
        let bytes: usize = rows.iter().map(|row| row.payload.len()).sum();
        let relay = &self.parts.config.relay;
        rows.len() >= relay.batch || bytes as u64 >= relay.batch_bytes.as_u64()
    }
}
