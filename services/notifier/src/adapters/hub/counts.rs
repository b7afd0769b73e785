//! Tells open streams their tenant's counts when these changed, at most twice a second.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use service::Shutdown;

use super::{Hub, Live};
use crate::adapters::db::Store;
use crate::adapters::document::CountsDocument;

const PACE: Duration = Duration::from_millis(500);

impl Hub {
    pub async fn run_counts(self, store: Store, shutdown: Shutdown) -> anyhow::Result<()> {
        let mut told: HashMap<Arc<str>, CountsDocument> = HashMap::new();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(PACE) => {}
            }
            let stale = self.shared.with(|state| {
                told.retain(|tenant, _| state.watched.contains_key(tenant));
                std::mem::take(&mut state.stale)
            });
            for tenant in stale {
                match store.counts(&tenant).await {
                    Ok(counts) if told.get(&tenant) == Some(&counts) => {}
                    Ok(counts) => {
                        let data = serde_json::to_vec(&counts)?.into();
                        told.insert(Arc::clone(&tenant), counts);
                        // Nobody listens: fine.
                        let _ = self.shared.live.send(Live::Counts { tenant, data });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "counts not read; tried again");
                        self.shared.with(|state| state.stale.insert(tenant));
                    }
                }
            }
        }
    }
}
