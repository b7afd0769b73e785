//! Reading devices: what each of them said last, and what happened to it.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use events::Timestamp;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::auth::Caller;
use super::notifications::{bad_cursor, number};
use super::parameters::Parameters;
use super::problem::Problem;
use crate::adapters::db::Place;
use crate::adapters::device_document::{DeviceDocument, DeviceStateSymbol, HealthStateSymbol};
use crate::adapters::examples;
use crate::adapters::signer::Forged;
use crate::adapters::timeline_document::TimelineDocument;
use crate::domain::access::Scope;
use crate::domain::devices::{Device, Devices};

/// A page of devices, by `device_id`.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "data": [examples::listed_device()], "next_cursor": examples::CURSOR }))]
pub(super) struct DevicePage {
    data: Vec<DeviceDocument>,
    /// Gives the next page, with the same filters; null on the last one.
    next_cursor: Option<String>,
}

/// A page of what happened to a device, latest first.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "data": [examples::timeline_entry(), examples::timeline_status()], "next_cursor": examples::CURSOR }))]
pub(super) struct TimelinePage {
    data: Vec<TimelineDocument>,
    /// Gives the next page; null on the last one.
    next_cursor: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documents what Parameters::device_filter reads")]
pub(super) struct DeviceParameters {
    /// Part of device or group, whatever its case.
    q: Option<String>,
    /// May be repeated; UNKNOWN are those that nobody told of.
    #[param(inline, value_type = Option<Vec<DeviceStateSymbol>>, style = Form, explode)]
    status: (),
    /// May be repeated; UNKNOWN are those that nobody told of.
    #[param(inline, value_type = Option<Vec<HealthStateSymbol>>, style = Form, explode)]
    health: (),
    /// May be repeated.
    #[param(style = Form, explode)]
    group_id: Option<Vec<String>>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Devices on a page; 50 when not given.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
}

/// List devices by `device_id`, each with its last readings.
#[utoipa::path(
    get, path = "/v1/devices", tag = "devices", operation_id = "listDevices", params(DeviceParameters),
    responses((status = 200, description = "A page", body = DevicePage)),
)]
pub(super) async fn list(State(api): State<Arc<Api>>, caller: Caller, mut given: Parameters) -> Result<Json<DevicePage>, Problem> {
    let principal = caller.may(Scope::Read)?;
    let tenant = &principal.tenant;
    let context = format!("devices of {tenant} by {}", given.fingerprint(&["cursor", "limit"]));
    let filter = given.device_filter();
    let limit = given.limit();
    let cursor = given.one("cursor");
    given.finish()?;
    let after = cursor.map(|cursor| {
        let device_id = api.signer.open(&context, &cursor)?;
        String::from_utf8(device_id).map_err(|_| Forged)
    });
    let after = after.transpose().map_err(bad_cursor)?;
    let page = look(&api, |devices| devices.page(tenant, &filter, after.as_deref(), limit))?;
    let ids: Vec<&str> = page.devices.iter().map(|(device_id, _)| device_id.as_str()).collect();
    let unresolved: HashMap<String, i64> = api.store.unresolved_of(tenant, &ids).await?.into_iter().collect();
    let last = page.devices.last().filter(|_| page.more);
    let next_cursor = last.map(|(device_id, _)| api.signer.sign(&context, device_id.as_bytes()));
    let document = |(device_id, device): &(String, Device)| {
        let unresolved = unresolved.get(device_id).copied().unwrap_or_default();
        DeviceDocument::new(tenant, device_id, device, unresolved, false)
    };
    Ok(Json(DevicePage { data: page.devices.iter().map(document).collect(), next_cursor }))
}

/// Get one device.
#[utoipa::path(
    get, path = "/v1/devices/{id}", tag = "devices", operation_id = "getDevice",
    params(("id" = String, Path, description = "`device_id`")),
    responses(
        (status = 200, description = "The device", body = DeviceDocument),
        (status = 404, description = "No such device", body = super::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn find(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    given: Parameters,
) -> Result<Json<DeviceDocument>, Problem> {
    let principal = caller.may(Scope::Read)?;
    given.finish()?;
    let device = look(&api, |devices| devices.find(&principal.tenant, &id).cloned())?.ok_or_else(Problem::not_found)?;
    let unresolved = api.store.unresolved_of(&principal.tenant, &[&id]).await?;
    let unresolved = unresolved.first().map_or(0, |(_, count)| *count);
    Ok(Json(DeviceDocument::new(&principal.tenant, &id, &device, unresolved, true)))
}

/// Get what happened to a device: changes of its connection, and of its notifications.
#[utoipa::path(
    get, path = "/v1/devices/{id}/timeline", tag = "devices", operation_id = "listDeviceTimeline",
    params(
        ("id" = String, Path, description = "`device_id`"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("limit" = Option<u32>, Query, description = "Entries on a page; 50 when not given", minimum = 1, maximum = 200),
    ),
    responses(
        (status = 200, description = "A page, latest first", body = TimelinePage),
        (status = 404, description = "No such device", body = super::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn timeline(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    mut given: Parameters,
) -> Result<Json<TimelinePage>, Problem> {
    let principal = caller.may(Scope::Read)?;
    let limit = given.limit();
    let cursor = given.one("cursor");
    given.finish()?;
    if id.contains('\0') {
        return Err(Problem::not_found());
    }
    let context = format!("timeline of {}:{} {id}", principal.tenant.len(), principal.tenant);
    let after = cursor.map(|cursor| api.signer.open(&context, &cursor).and_then(|bytes| place(&bytes))).transpose().map_err(bad_cursor)?;
    let page = api.store.timeline(&principal.tenant, &id, after, limit).await?;
    // A device that is no longer heard of may still have a past, and one without a past may be there.
    if page.entries.is_empty() {
        look(&api, |devices| devices.find(&principal.tenant, &id).map(drop))?.ok_or_else(Problem::not_found)?;
    }
    let next_cursor = page.next.map(|(at, place)| api.signer.sign(&context, &[&at.as_micros().to_be_bytes(), place.as_bytes()].concat()));
    Ok(Json(TimelinePage { data: page.entries, next_cursor }))
}

/// Looks at the devices, once all there are have been read.
pub(super) fn look<T>(api: &Api, look: impl FnOnce(&Devices) -> T) -> Result<T, Problem> {
    api.devices.look(look).ok_or_else(Problem::unavailable)
}

fn place(bytes: &[u8]) -> Result<Place, Forged> {
    let (at, place) = bytes.split_at_checked(8).ok_or(Forged)?;
    let place = std::str::from_utf8(place).map_err(|_| Forged)?;
    Ok((Timestamp::from_micros(number(at)?), place.to_owned()))
}
