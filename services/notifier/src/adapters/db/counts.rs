//! How many notifications of each state and severity there are: changes, added up.

use sqlx::Row as _;

use super::Store;
use super::rows::{severity, state};
use crate::adapters::document::CountsDocument;

/// Lines that a count adds up in no time.
const MANY: i64 = 200;

/// Lines that came meanwhile are not seen, and stay. Two who do it at once: the second finds the first one's lines gone.
const ADD_UP: &str = "
    WITH gone AS (DELETE FROM notification_count RETURNING *)
    INSERT INTO notification_count
    SELECT tenant, state, severity, sum(count) FROM gone GROUP BY tenant, state, severity HAVING sum(count) <> 0";

impl Store {
    pub async fn counts(&self, tenant: &str) -> Result<CountsDocument, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT state, severity, sum(count)::bigint AS count FROM notification_count WHERE tenant = $1
             GROUP BY state, severity HAVING sum(count) <> 0",
        )
        .bind(tenant)
        .fetch_all(&self.pool)
        .await?;
        let mut counts = CountsDocument::default();
        for row in rows {
            counts.add(state(&row)?, severity(&row)?, row.try_get("count")?);
        }
        Ok(counts)
    }

    /// Replaces the changes by their sums, when there are many.
    pub async fn add_up_counts(&self) -> Result<(), sqlx::Error> {
        let to_save = "SELECT count(*) - count(DISTINCT (tenant, state, severity)) FROM notification_count";
        if sqlx::query_scalar::<_, i64>(to_save).fetch_one(&self.pool).await? > MANY {
            sqlx::query(ADD_UP).execute(&self.pool).await?;
        }
        Ok(())
    }
}
