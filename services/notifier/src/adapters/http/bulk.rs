//! One action on many notifications, each by itself: what one refuses does not hold up the others.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use events::NotificationState;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::actions;
use super::auth::Caller;
use super::body::OptionalJson;
use super::notifications::id_of;
use super::observe::RequestTrace;
use super::parameters::Parameters;
use super::problem::{Mistake, Problem};
use crate::adapters::document::StateSymbol;
use crate::domain::access::Scope;
use crate::domain::command::{Action, Command};

/// Notifications of one request at most.
const MOST: usize = 200;

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(rename_all = "lowercase")]
enum BulkAction {
    Acknowledge,
    Unacknowledge,
    Snooze,
    Unsnooze,
    Resolve,
    Reopen,
}

/// What to do with which notifications.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "action": "acknowledge", "notification_ids": ["7c9e6679-7425-50de-944b-e07fc1f90ae7"], "until": null, "reason": "power cut in hall 2"
}))]
pub(super) struct BulkBody {
    action: BulkAction,
    #[schema(min_items = 1, max_items = 200)]
    notification_ids: Vec<String>,
    /// When a snooze ends; only for that.
    #[schema(format = DateTime)]
    #[serde(default)]
    until: Option<String>,
    /// Stands in the audit logs.
    #[schema(max_length = 1000)]
    #[serde(default)]
    reason: Option<String>,
}

/// What became of each, in the order asked.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "data": [
    { "notification_id": "7c9e6679-7425-50de-944b-e07fc1f90ae7", "status": 200, "version": 4, "state": "ACKNOWLEDGED", "detail": null }
] }))]
pub(super) struct BulkResult {
    data: Vec<BulkItem>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct BulkItem {
    notification_id: String,
    /// The status that the action by itself would have been answered with.
    status: u16,
    /// The version it now has.
    version: Option<i64>,
    #[schema(value_type = Option<StateSymbol>)]
    state: Option<NotificationState>,
    /// Why it was refused.
    detail: Option<String>,
}

/// Do the same with many notifications; a result for each.
#[utoipa::path(
    post, path = "/v1/notifications/bulk", tag = "notifications", operation_id = "changeNotifications", request_body = BulkBody,
    responses((status = 200, description = "What became of each", body = BulkResult)),
)]
pub(super) async fn bulk(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Extension(trace): Extension<RequestTrace>,
    given: Parameters,
    OptionalJson(body): OptionalJson<BulkBody>,
) -> Result<Json<BulkResult>, Problem> {
    let principal = caller.may(Scope::Write)?;
    given.finish()?;
    if body.notification_ids.is_empty() || body.notification_ids.len() > MOST {
        return Err(Problem::invalid(vec![Mistake::pointer("/notification_ids", format!("are not 1 to {MOST}"))]));
    }
    let action = action(&body)?;
    let command = Command { action, by: principal.name, reason: actions::reason(body.reason)?, expected_version: None };
    let mut data = Vec::with_capacity(body.notification_ids.len());
    for notification_id in body.notification_ids {
        let outcome = match id_of(&notification_id) {
            Ok(id) => actions::change(&api, &principal.tenant, id, &command, trace.clone()).await.map_err(Problem::from),
            Err(missing) => Err(missing),
        };
        data.push(match outcome {
            Ok(version) => {
                BulkItem { notification_id, status: 200, version: Some(version.version), state: Some(version.state), detail: None }
            }
            Err(problem) => {
                let (status, detail) = (problem.status().as_u16(), Some(problem.detail().to_owned()));
                BulkItem { notification_id, status, version: None, state: None, detail }
            }
        });
    }
    Ok(Json(BulkResult { data }))
}

fn action(body: &BulkBody) -> Result<Action, Problem> {
    let misplaced = body.until.is_some() && !matches!(body.action, BulkAction::Snooze);
    if misplaced {
        return Err(Problem::invalid(vec![Mistake::pointer("/until", "belongs to the action snooze")]));
    }
    Ok(match body.action {
        BulkAction::Acknowledge => Action::Acknowledge,
        BulkAction::Unacknowledge => Action::Unacknowledge,
        BulkAction::Snooze => Action::Snooze { until: actions::until(body.until.as_deref(), "/until")? },
        BulkAction::Unsnooze => Action::Unsnooze,
        BulkAction::Resolve => Action::Resolve,
        BulkAction::Reopen => Action::Reopen,
    })
}
