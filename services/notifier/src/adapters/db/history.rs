//! Windows of devices' metrics, in one partition a day.

use std::collections::BTreeSet;
use std::time::Duration;

use events::{Aggregate, Timestamp};
use serde::Serialize;
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, Postgres, Transaction};
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use super::positions::{self, Advance};
use super::rows::date;
use super::{NotApplied, Store};
use crate::adapters::document::Rfc3339;
use crate::adapters::history_document::HistoryPoint;
use crate::domain::history::Grid;

/// A row of `device_history`.
#[derive(Clone, Debug, Serialize)]
pub struct HistoryRow {
    tenant: String,
    device_id: String,
    metric: String,
    seconds: i32,
    window_start: Rfc3339,
    pub(in crate::adapters) revision: i32,
    count: i64,
    mean: f64,
    min: f64,
    max: f64,
    last: f64,
    stddev: f64,
    expected: Option<f64>,
    band_low: Option<f64>,
    band_high: Option<f64>,
    max_score: Option<f64>,
    anomaly_id: Option<Uuid>,
}

impl HistoryRow {
    /// Of a window that is `seconds` long.
    pub fn new(of: Aggregate, seconds: i32) -> Result<Self, uuid::Error> {
        Ok(Self {
            tenant: of.tenant,
            device_id: of.device_id,
            metric: of.metric,
            seconds,
            window_start: Rfc3339(of.window_start),
            revision: of.revision,
            count: of.count,
            mean: of.mean,
            min: of.min,
            max: of.max,
            last: of.last,
            stddev: of.stddev,
            expected: of.expected,
            band_low: of.band_low,
            band_high: of.band_high,
            max_score: of.max_score,
            anomaly_id: of.anomaly_id.map(|id| id.parse()).transpose()?,
        })
    }

    /// What makes it one window.
    pub fn key(&self) -> (&str, &str, &str, i32, Timestamp) {
        (&self.tenant, &self.device_id, &self.metric, self.seconds, self.window_start.0)
    }
}

impl Store {
    /// Moves the positions and keeps the windows, each given once, unless a higher revision is there.
    pub async fn keep_windows<'a>(&self, advances: &[Advance], windows: impl Iterator<Item = &'a HistoryRow>) -> Result<(), NotApplied> {
        let mut windows: Vec<&HistoryRow> = windows.collect();
        // In one order, so that two batches wait for each other instead of locking each other out.
        windows.sort_by(|a, b| a.key().cmp(&b.key()));
        let days: BTreeSet<Date> = windows.iter().map(|window| date(window.window_start.0).date()).collect();
        let mut transaction = self.pool.begin().await?;
        positions::advance(&mut transaction, advances).await??;
        for day in days {
            have_partition(&mut transaction, day).await?;
        }
        if !windows.is_empty() {
            sqlx::query!(
                "INSERT INTO device_history AS h (tenant, device_id, metric, seconds, window_start, revision, count, mean, min, max, last,
                     stddev, expected, band_low, band_high, max_score, anomaly_id)
                 SELECT tenant, device_id, metric, seconds, window_start, revision, count, mean, min, max, last,
                     stddev, expected, band_low, band_high, max_score, anomaly_id FROM jsonb_populate_recordset(NULL::device_history, $1)
                 ON CONFLICT (tenant, device_id, metric, seconds, window_start) DO UPDATE SET
                     revision = EXCLUDED.revision, count = EXCLUDED.count, mean = EXCLUDED.mean, min = EXCLUDED.min,
                     max = EXCLUDED.max, last = EXCLUDED.last, stddev = EXCLUDED.stddev, expected = EXCLUDED.expected,
                     band_low = EXCLUDED.band_low, band_high = EXCLUDED.band_high, max_score = EXCLUDED.max_score,
                     anomaly_id = EXCLUDED.anomaly_id
                 WHERE h.revision < EXCLUDED.revision",
                Json(windows) as Json<Vec<&HistoryRow>>
            )
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// The points of a device's metric that there is anything in, by time.
    pub async fn history(&self, tenant: &str, device_id: &str, metric: &str, grid: &Grid) -> Result<Vec<HistoryPoint>, sqlx::Error> {
        // The longest windows that a step is made of, or else the shortest there are; behind them, where the longer ones have not
        // ended yet, the shortest.
        sqlx::query_as!(
            HistoryPoint,
            r#"WITH of_metric AS NOT MATERIALIZED (
                   SELECT * FROM device_history
                   WHERE tenant = $1 AND device_id = $2 AND metric = $3 AND window_start >= $4 AND window_start < $5
               ), shortest AS MATERIALIZED (
                   SELECT seconds FROM of_metric ORDER BY seconds LIMIT 1
               ), fitting AS MATERIALIZED (
                   SELECT coalesce((SELECT seconds FROM of_metric WHERE $6::bigint % seconds = 0 ORDER BY seconds DESC LIMIT 1),
                                   (SELECT seconds FROM shortest)) AS seconds
               ), long AS MATERIALIZED (
                   SELECT * FROM of_metric WHERE seconds = (SELECT seconds FROM fitting)
               ), used AS (
                   SELECT * FROM long
                   UNION ALL
                   SELECT * FROM of_metric
                   WHERE seconds = (SELECT seconds FROM shortest) AND seconds < (SELECT seconds FROM fitting)
                     AND window_start >= (SELECT max(window_start) + make_interval(secs => max(seconds)) FROM long)
               )
               SELECT date_bin(make_interval(secs => $6), window_start, 'epoch') AS "at!", sum(count)::bigint AS "count!",
                      sum(mean * count) / sum(count) AS "mean!", min(min) AS "min!", max(max) AS "max!",
                      (array_agg(last ORDER BY window_start DESC))[1] AS "last!",
                      sqrt(greatest(0, sum(count * (stddev * stddev + mean * mean)) / sum(count) - (sum(mean * count) / sum(count)) ^ 2))
                          AS "stddev!",
                      avg(expected) AS expected, avg(band_low) AS band_low, avg(band_high) AS band_high, max(max_score) AS max_score,
                      (array_agg(anomaly_id ORDER BY window_start DESC) FILTER (WHERE anomaly_id IS NOT NULL))[1] AS anomaly_id
               FROM used GROUP BY 1 ORDER BY 1"#,
            tenant,
            device_id,
            metric,
            date(grid.from),
            date(grid.to),
            grid.step.duration().as_secs().cast_signed()
        )
        .fetch_all(&self.pool)
        .await
    }

    /// Drops the days that ended longer than `age` ago; returns how many.
    pub async fn forget_history(&self, age: Duration) -> Result<usize, sqlx::Error> {
        let last = (OffsetDateTime::now_utc() - age).date();
        let partitions = sqlx::query_scalar!(
            r#"SELECT inhrelid::regclass::text AS "name!" FROM pg_inherits WHERE inhparent = 'device_history'::regclass"#
        )
        .fetch_all(&self.pool)
        .await?;
        let old: Vec<String> = partitions.into_iter().filter(|name| *name < partition(last)).collect();
        for name in &old {
            sqlx::query(AssertSqlSafe(format!("DROP TABLE IF EXISTS {name}"))).execute(&self.pool).await?;
        }
        Ok(old.len())
    }
}

fn partition(day: Date) -> String {
    format!("device_history_{:04}{:02}{:02}", day.year(), u8::from(day.month()), day.day())
}

/// Makes the partition of a day unless there is one. Who would make it at the same time waits.
async fn have_partition(transaction: &mut Transaction<'_, Postgres>, day: Date) -> Result<(), sqlx::Error> {
    let name = partition(day);
    let there = sqlx::query_scalar!(r#"SELECT to_regclass($1) IS NOT NULL AS "there!""#, name);
    if there.fetch_one(&mut **transaction).await? {
        return Ok(());
    }
    sqlx::query!("SELECT pg_advisory_xact_lock('device_history'::regclass::oid::bigint)").execute(&mut **transaction).await?;
    let (from, to) = (day, day.saturating_add(time::Duration::DAY));
    let make = format!(
        "CREATE TABLE IF NOT EXISTS {name} PARTITION OF device_history FOR VALUES FROM ('{from} 00:00:00+00') TO ('{to} 00:00:00+00')"
    );
    sqlx::query(AssertSqlSafe(make)).execute(&mut **transaction).await.map(drop)
}
