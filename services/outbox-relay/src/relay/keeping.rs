//! Keeps the relay's place: tables first, then the leases, until the last lane has ended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use service::Shutdown;
use tokio::time::sleep;

use super::{Parts, Trouble};

/// How often partitions of the archive are made and dropped.
const ROLL_EVERY: Duration = Duration::from_hours(1);

struct Keeper {
    parts: Arc<Parts>,
    migrated: bool,
    next_roll: Instant,
}

/// Until `lanes_ended`; then what is held is given back. What cannot be given back runs out by itself.
pub(super) async fn run(parts: Arc<Parts>, lanes_ended: Shutdown) -> anyhow::Result<()> {
    let mut keeper = Keeper { migrated: !parts.config.database.migrate, next_roll: Instant::now(), parts: Arc::clone(&parts) };
    let (mut failures, mut outcome) = (0, Ok(()));
    while !lanes_ended.is_cancelled() {
        let pause = match keeper.turn().await {
            Ok(short) => {
                failures = 0;
                parts.postgres.ready();
                if short { parts.config.lease.renew_every / 4 } else { parts.config.lease.renew_every }
            }
            Err(failure) => {
                failures += 1;
                if let Err(fatal) = parts.note(Trouble::Postgres(failure)) {
                    parts.stop.cancel();
                    outcome = Err(fatal);
                    break;
                }
                parts.backoff().delay(failures, rand::random()).min(parts.config.lease.renew_every)
            }
        };
        tokio::select! {
            () = lanes_ended.cancelled() => {}
            () = sleep(pause) => {}
        }
    }
    lanes_ended.cancelled().await;
    if let Err(failure) = parts.tenure.leave().await {
        failure.note("giving the slots back");
    }
    parts.store.close().await;
    outcome
}

impl Keeper {
    /// Returns whether slots are missing that are due to this relay.
    async fn turn(&mut self) -> Result<bool, stream::Failure> {
        let Parts { store, tenure, measures, config, stop, .. } = &*self.parts;
        if !self.migrated {
            store.migrate().await?;
            self.migrated = true;
        }
        if config.archive.enabled && Instant::now() >= self.next_roll {
            store.roll_archive(config.archive.keep).await?;
            self.next_roll = Instant::now() + ROLL_EVERY;
        }
        tenure.renew().await?;
        measures.oldest(store.oldest().await?);
        if stop.is_cancelled() { Ok(false) } else { tenure.rebalance().await }
    }
}
