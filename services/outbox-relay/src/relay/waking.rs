//! Lanes that rest are woken by writers that say so. Without this they look by themselves.

use std::sync::Arc;

use tokio::time::sleep;

use super::Parts;
use crate::domain::{SLOTS, Slot};

pub(super) async fn run(parts: Arc<Parts>) -> anyhow::Result<()> {
    if parts.config.relay.wake {
        parts.stop.run_until_cancelled(listen(&parts)).await;
    } else {
        parts.stop.cancelled().await;
    }
    Ok(())
}

async fn listen(parts: &Parts) {
    loop {
        match parts.store.wakes().await {
            Ok(mut wakes) => {
                while let Ok(slots) = wakes.next().await {
                    let lanes = parts.wakes.len();
                    let rows = |slot: Slot| slots.contains(slot.0 as u8);
                    let has_rows = |lane: &usize| (0..SLOTS as i16).map(Slot).any(|slot| slot.lane(lanes) == *lane && rows(slot));
                    (0..lanes).filter(has_rows).for_each(|lane| parts.wakes[lane].notify_waiters());
                }
            }
            // Whether Postgres is there is for others to say.
            Err(failure) => tracing::debug!(%failure, "not listening for wakes"),
        }
        sleep(parts.config.retry.longest).await;
    }
}
