//! How many notifications of each state and severity there are: changes, added up.

use events::{NotificationState, Severity};

use super::Store;
use super::rows::Symbol;
use crate::adapters::document::CountsDocument;

/// Lines that a count adds up in no time.
const MANY: i64 = 200;

impl Store {
    pub async fn counts(&self, tenant: &str) -> Result<CountsDocument, sqlx::Error> {
        let rows = sqlx::query!(
            r#"SELECT state AS "state: Symbol<NotificationState>", severity AS "severity: Symbol<Severity>", sum(count)::bigint AS "count!"
               FROM notification_count WHERE tenant = $1 GROUP BY state, severity HAVING sum(count) <> 0"#,
            tenant
        )
        .fetch_all(&self.pool)
        .await?;
        let mut counts = CountsDocument::default();
        for row in rows {
            counts.add(row.state.0, row.severity.0, row.count);
        }
        Ok(counts)
    }

    /// Replaces the changes by their sums, when there are many.
    pub async fn add_up_counts(&self) -> Result<(), sqlx::Error> {
        let to_save =
            sqlx::query_scalar!(r#"SELECT count(*) - count(DISTINCT (tenant, state, severity)) AS "to_save!" FROM notification_count"#);
        if to_save.fetch_one(&self.pool).await? > MANY {
            // Lines that came meanwhile are not seen, and stay. Two who do it at once: the second finds the first one's lines gone.
            sqlx::query!(
                "WITH gone AS (DELETE FROM notification_count RETURNING tenant, state, severity, count)
                 INSERT INTO notification_count (tenant, state, severity, count)
                 SELECT tenant, state, severity, sum(count) FROM gone GROUP BY tenant, state, severity HAVING sum(count) <> 0"
            )
            .execute(&self.pool)
            .await?;
        }
        Ok(())
    }
}
