//! Which transactions may still be under way.

use stream::Failure;

use super::Store;
use crate::domain::Horizon;

impl Store {
    pub async fn horizon(&self) -> Result<Horizon, Failure> {
        // A snapshot's xmax is one past the highest number that has *ended*: some from there on may write already. A number of
        // one's own, drawn after the snapshot, is above them all.
        let horizon = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint, pg_current_xact_id()::text::bigint,
                              coalesce(pg_sequence_last_value(pg_get_serial_sequence('outbox', 'id')::regclass), 0)";
        let (xmin, next, drawn) = self.on(&self.rows, async |connection| sqlx::query_as(horizon).fetch_one(connection).await).await?;
        Ok(Horizon { xmin, next, drawn })
    }
}
