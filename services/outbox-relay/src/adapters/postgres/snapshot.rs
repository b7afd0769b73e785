//! Which transactions may still be under way.

use stream::Failure;

use super::Store;

/// The transactions of one moment, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizon {
    /// Everything below has ended.
    pub xmin: i64,
    /// Everything from here on had not begun to write.
    pub xmax: i64,
}

impl Store {
    pub async fn horizon(&self) -> Result<Horizon, Failure> {
        let horizon = "SELECT pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint FROM pg_current_snapshot() AS s";
        let (xmin, xmax) = self.on(&self.rows, async |connection| sqlx::query_as(horizon).fetch_one(connection).await).await?;
        Ok(Horizon { xmin, xmax })
    }
}
