//! Columns as fields, and back.
//!
//! `query_as!` puts what it reads into a field by `Into`: a column `AS "state: Symbol<Severity>"` becomes a `Severity`.

use events::{Change, Labels, Notification, NotificationState, Severity, Timestamp};
use serde::de::{DeserializeOwned, IntoDeserializer as _};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgRow, PgTypeInfo, PgValueRef};
use sqlx::types::Json;
use sqlx::{Decode, FromRow, Postgres, Row, Type};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::adapters::document::Rfc3339;

/// An enum from its Avro symbol; one of a later release is `Unknown`.
#[derive(Debug)]
pub(super) struct Symbol<T>(pub(super) T);

impl<T> Type<Postgres> for Symbol<T> {
    fn type_info() -> PgTypeInfo {
        <&str as Type<Postgres>>::type_info()
    }

    fn compatible(of: &PgTypeInfo) -> bool {
        <&str as Type<Postgres>>::compatible(of)
    }
}

impl<T: DeserializeOwned> Decode<'_, Postgres> for Symbol<T> {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        let text = <&str as Decode<Postgres>>::decode(value)?;
        Ok(Self(T::deserialize(text.into_deserializer()).map_err(|error: serde::de::value::Error| error)?))
    }
}

impl From<Symbol<NotificationState>> for NotificationState {
    fn from(symbol: Symbol<Self>) -> Self {
        symbol.0
    }
}

impl From<Symbol<Severity>> for Severity {
    fn from(symbol: Symbol<Self>) -> Self {
        symbol.0
    }
}

/// What is stored as JSON.
#[derive(sqlx::Type)]
#[sqlx(transparent)]
pub(super) struct JsonOf<T>(Json<T>);

impl From<JsonOf<Labels>> for Labels {
    fn from(of: JsonOf<Self>) -> Self {
        of.0.0
    }
}

impl From<JsonOf<Change>> for Change {
    fn from(of: JsonOf<Self>) -> Self {
        of.0.0
    }
}

/// A time, where there is one: NULL is read as well, so its column is marked `!`.
#[derive(sqlx::Type)]
#[sqlx(transparent)]
pub(super) struct OptionalTime(Option<OffsetDateTime>);

impl From<OptionalTime> for Option<Timestamp> {
    fn from(time: OptionalTime) -> Self {
        time.0.map(Timestamp::from)
    }
}

impl From<OffsetDateTime> for Rfc3339 {
    fn from(at: OffsetDateTime) -> Self {
        Self(at.into())
    }
}

/// A row of `notification`, for a statement that is put together while it runs.
pub(super) struct NotificationRow(pub(super) Notification);

impl FromRow<'_, PgRow> for NotificationRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self(Notification {
            tenant: row.try_get("tenant")?,
            notification_id: row.try_get::<Uuid, _>("notification_id")?.to_string(),
            version: row.try_get("version")?,
            kind: row.try_get("kind")?,
            state: row.try_get::<Symbol<_>, _>("state")?.0,
            severity: row.try_get::<Symbol<_>, _>("severity")?.0,
            device_id: row.try_get("device_id")?,
            group_id: row.try_get("group_id")?,
            title: row.try_get("title")?,
            body: row.try_get("body")?,
            dedup_key: row.try_get("dedup_key")?,
            occurrences: row.try_get("occurrences")?,
            opened_at: row.try_get::<OffsetDateTime, _>("opened_at")?.into(),
            updated_at: row.try_get::<OffsetDateTime, _>("updated_at")?.into(),
            resolved_at: row.try_get::<OptionalTime, _>("resolved_at")?.into(),
            snoozed_until: row.try_get::<OptionalTime, _>("snoozed_until")?.into(),
            acknowledged_by: row.try_get("acknowledged_by")?,
            suppressed_by: row.try_get("suppressed_by")?,
            labels: row.try_get::<Json<_>, _>("labels")?.0,
            links: row.try_get::<Json<_>, _>("links")?.0,
            change: row.try_get::<Json<_>, _>("change")?.0,
            source_event_id: row.try_get::<Uuid, _>("source_event_id")?.to_string(),
        }))
    }
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
