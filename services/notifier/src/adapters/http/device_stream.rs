//! `GET /v1/devices/stream`: server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::response::Response;
use futures::stream::unfold;

use super::Api;
use super::frames;
use super::parameters::Parameters;
use super::problem::Problem;
use super::pulse::Pulse;
use super::viewer::Viewer;
use crate::adapters::device_document::{DeviceStateSymbol, HealthStateSymbol};
use crate::adapters::devices::{DeviceNews, DeviceWatch};
use crate::domain::devices::DeviceFilter;
use crate::domain::watched::Watched;

/// Stream devices as server-sent events.
///
/// `device` is the object that lists have, for each device that was heard of, at most one a second. With `device_id`,
/// `reading` is each of its readings as it comes. Open the stream, then list: nothing lies between. A `gap` says that some
/// were missed: list again. A comment is sent every 15 s.
#[utoipa::path(
    get, path = "/v1/devices/stream", tag = "devices", operation_id = "streamDevices",
    params(
        ("ticket" = Option<String>, Query, description = "In place of an API key; has its own filters"),
        ("device_id" = Option<Vec<String>>, Query, description = "May be repeated; their readings too"),
        ("q" = Option<String>, Query, description = "Part of device or group, whatever its case"),
        ("status" = inline(Option<Vec<DeviceStateSymbol>>), Query, description = "May be repeated"),
        ("health" = inline(Option<Vec<HealthStateSymbol>>), Query, description = "May be repeated"),
        ("group_id" = Option<Vec<String>>, Query, description = "May be repeated"),
    ),
    responses((status = 200, description = "Events", content_type = "text/event-stream", body = String)),
)]
pub(super) async fn stream(State(api): State<Arc<Api>>, mut given: Parameters, request: Request) -> Result<Response, Problem> {
    let (mut parts, _) = request.into_parts();
    let (viewer, filter) = Viewer::of(&api, &mut parts, &mut given, Watched::Devices, Parameters::device_stream_filter).await?;
    given.finish()?;
    let watch = api.devices.watch(&viewer.principal.tenant, &filter.device_ids);
    let ready = VecDeque::from([frames::opening()]);
    let session = Session { filter, watch: Some(watch), pulse: Pulse::new(&api, viewer), ready };
    let frames = unfold(session, |mut session| async move { session.next().await.map(|frame| (Ok::<_, Infallible>(frame), session)) });
    Ok(frames::response(frames))
}

/// One open stream of devices.
struct Session {
    filter: DeviceFilter,
    /// `None`: the stream is over.
    watch: Option<DeviceWatch>,
    pulse: Pulse,
    ready: VecDeque<Bytes>,
}

impl Session {
    /// The next bytes to send; `None`: the stream is over.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Some(bytes);
            }
            let watch = self.watch.as_mut()?;
            tokio::select! {
                beat = self.pulse.next() => match self.pulse.follow(beat).await {
                    Some(bytes) => self.ready.extend(bytes),
                    None => self.watch = None,
                },
                news = watch.next() => self.take(news),
            }
        }
    }

    fn take(&mut self, news: Option<DeviceNews>) {
        match news {
            Some(DeviceNews::Heard(_, devices)) => {
                let visible = devices.iter().filter(|told| self.filter.matches(&told.device_id, &told.device));
                self.ready.extend(visible.map(|told| frames::event("device", None, &told.data)));
            }
            Some(DeviceNews::Reading(_, data)) => self.ready.push_back(frames::event("reading", None, &data)),
            None => self.ready.push_back(frames::event("gap", None, br#"{"reason":"slow_client"}"#)),
        }
    }
}
