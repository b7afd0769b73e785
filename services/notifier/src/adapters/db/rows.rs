//! Rows of the notification tables, and back.

use events::{Change, Labels, Notification, NotificationState, Severity, Timestamp};
use serde::Deserialize;
use serde::de::IntoDeserializer as _;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{FromRow, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::adapters::document::{EventDocument, Rfc3339};

/// A row of `notification`.
pub(super) struct NotificationRow(pub(super) Notification);

impl FromRow<'_, PgRow> for NotificationRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self(Notification {
            tenant: row.try_get("tenant")?,
            notification_id: row.try_get::<Uuid, _>("notification_id")?.to_string(),
            version: row.try_get("version")?,
            kind: row.try_get("kind")?,
            state: state(row)?,
            severity: severity(row)?,
            device_id: row.try_get("device_id")?,
            group_id: row.try_get("group_id")?,
            title: row.try_get("title")?,
            body: row.try_get("body")?,
            dedup_key: row.try_get("dedup_key")?,
            occurrences: row.try_get("occurrences")?,
            opened_at: timestamp(row, "opened_at")?,
            updated_at: timestamp(row, "updated_at")?,
            resolved_at: optional_timestamp(row, "resolved_at")?,
            snoozed_until: optional_timestamp(row, "snoozed_until")?,
            acknowledged_by: row.try_get("acknowledged_by")?,
            suppressed_by: row.try_get("suppressed_by")?,
            labels: row.try_get::<Json<Labels>, _>("labels")?.0,
            links: row.try_get::<Json<Labels>, _>("links")?.0,
            change: row.try_get::<Json<Change>, _>("change")?.0,
            source_event_id: row.try_get::<Uuid, _>("source_event_id")?.to_string(),
        }))
    }
}

/// A row of `notification_event`.
pub(super) struct EventRow(pub(super) EventDocument);

impl FromRow<'_, PgRow> for EventRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self(EventDocument {
            version: row.try_get("version")?,
            at: Rfc3339(timestamp(row, "at")?),
            state: state(row)?,
            severity: severity(row)?,
            occurrences: row.try_get("occurrences")?,
            change: change(row)?,
            source_event_id: row.try_get::<Uuid, _>("source_event_id")?.to_string(),
            snoozed_until: optional_timestamp(row, "snoozed_until")?.map(Rfc3339),
        }))
    }
}

pub(super) fn state(row: &PgRow) -> Result<NotificationState, sqlx::Error> {
    symbol(row, "state")
}

pub(super) fn severity(row: &PgRow) -> Result<Severity, sqlx::Error> {
    symbol(row, "severity")
}

pub(super) fn timestamp(row: &PgRow, column: &str) -> Result<Timestamp, sqlx::Error> {
    row.try_get::<OffsetDateTime, _>(column).map(Timestamp::from)
}

pub(super) fn optional_timestamp(row: &PgRow, column: &str) -> Result<Option<Timestamp>, sqlx::Error> {
    Ok(row.try_get::<Option<OffsetDateTime>, _>(column)?.map(Timestamp::from))
}

/// What was done, from the columns of `notification_event`.
pub(super) fn change(row: &PgRow) -> Result<Change, sqlx::Error> {
    Ok(Change {
        action: row.try_get("action")?,
        actor: row.try_get("actor")?,
        reason: row.try_get("reason")?,
        trace_id: row.try_get("trace_id")?,
    })
}

/// An enum from its Avro symbol; one of a later release is `Unknown`.
pub(super) fn symbol<'row, T: Deserialize<'row>>(row: &'row PgRow, column: &str) -> Result<T, sqlx::Error> {
    let text: &str = row.try_get(column)?;
    T::deserialize(text.into_deserializer())
        .map_err(|error: serde::de::value::Error| sqlx::Error::ColumnDecode { index: column.to_owned(), source: Box::new(error) })
}

/// For a query: a time that no calendar has is the epoch.
pub(super) fn date(at: Timestamp) -> OffsetDateTime {
    at.to_datetime().unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// A column of what is stored together.
pub(super) fn array<T: Copy, C>(rows: &[T], column: impl Fn(T) -> C) -> Vec<C> {
    rows.iter().copied().map(column).collect()
}

pub(super) fn checked<T: Copy, C>(rows: &[T], column: impl Fn(T) -> Result<C, sqlx::Error>) -> Result<Vec<C>, sqlx::Error> {
    rows.iter().copied().map(column).collect()
}

/// For a row: a time that no calendar has is refused.
pub(super) fn stored(at: Timestamp) -> Result<OffsetDateTime, sqlx::Error> {
    at.to_datetime().ok_or_else(|| sqlx::Error::Encode(format!("{at} is in no calendar").into()))
}

pub(super) fn uuid(id: &str) -> Result<Uuid, sqlx::Error> {
    id.parse().map_err(|error| sqlx::Error::Encode(format!("{id}: {error}").into()))
}
