//! `GET /v1/notifications/stream`: server-sent events.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use futures::stream::unfold;

use super::Api;
use super::frames;
use super::parameters::Parameters;
use super::problem::{Mistake, Problem};
use super::session::Session;
use super::viewer::Viewer;
use crate::domain::position::Position;
use crate::domain::watched::Watched;

/// Stream notifications as server-sent events.
///
/// Begins with `snapshot`, goes on with `notification` (the object GET answers), `counts` and `command` (what becomes of
/// commands, of the filters only by `device_id`; without an id, and never repeated: ask for the commands instead). `id` is a position: coming
/// back with it, to any replica, gives everything since, without a snapshot. The relay repeats itself: `version` tells.
/// `gap` says that changes are missing. A comment is sent every 15 s.
#[utoipa::path(
    get, path = "/v1/notifications/stream", tag = "stream", operation_id = "streamNotifications",
    params(
        ("Last-Event-ID" = Option<String>, Header, description = "`id` of the last event seen"),
        ("last_event_id" = Option<String>, Query, description = "The same, where headers cannot be sent"),
        ("ticket" = Option<String>, Query, description = "In place of an API key; has its own filters"),
        ("severity" = inline(Option<Vec<super::notifications::ListedSeverity>>), Query, description = "May be repeated"),
        ("kind" = Option<Vec<String>>, Query, description = "May be repeated"),
        ("device_id" = Option<Vec<String>>, Query, description = "May be repeated"),
        ("group_id" = Option<Vec<String>>, Query, description = "May be repeated"),
        ("label" = Option<Vec<String>>, Query, description = "`name=value`; may be repeated, and all must hold"),
    ),
    responses((status = 200, description = "Events", content_type = "text/event-stream", body = String)),
)]
pub(super) async fn stream(State(api): State<Arc<Api>>, mut given: Parameters, request: Request) -> Result<Response, Problem> {
    let (mut parts, _) = request.into_parts();
    let header_id = parts.headers.get("last-event-id").map(|id| id.to_str().unwrap_or("?").to_owned());
    let query_id = given.one("last_event_id");
    let (viewer, filter) = Viewer::of(&api, &mut parts, &mut given, Watched::Notifications, Parameters::stream_filter).await?;
    given.finish()?;
    // A browser that reconnects sends the header; the parameter is then what it once began with.
    let from = match (header_id.filter(|id| !id.is_empty()), query_id.filter(|id| !id.is_empty())) {
        (Some(id), _) => Some(read(&id, Mistake::header("Last-Event-ID", "is not an id of this stream"))?),
        (None, Some(id)) => Some(read(&id, Mistake::parameter("last_event_id", "is not an id of this stream"))?),
        (None, None) => None,
    };
    let session = Session::begin(&api, viewer, filter, from).await?;
    let frames = unfold(session, |mut session| async move { session.next().await.map(|frame| (Ok::<_, Infallible>(frame), session)) });
    Ok(frames::response(frames))
}

fn read(id: &str, mistake: Mistake) -> Result<Position, Problem> {
    frames::position(id).map_err(|_| Problem::invalid(vec![mistake]))
}
