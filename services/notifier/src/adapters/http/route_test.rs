//! `POST /v1/routes/test`: what would happen to a notification, and why.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use events::{Labels, Severity, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::auth::Caller;
use super::body::OptionalJson;
use super::parameters::Parameters;
use super::problem::{Mistake, Problem};
use crate::adapters::document::{Rfc3339, SeveritySymbol};
use crate::domain::access::Scope;
use crate::domain::explanation::{self, Way};
use crate::domain::matcher::About;
use crate::domain::suppression::inhibits;

/// A notification to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "kind": "alert", "severity": "CRITICAL", "device_id": "sensor-01", "group_id": "cold-room-2", "labels": { "team": "cold-chain" },
    "at": "2026-01-31T23:15:30Z"
}))]
pub(super) struct RouteTestBody {
    #[serde(default)]
    kind: Option<String>,
    #[schema(value_type = Option<SeveritySymbol>)]
    #[serde(default)]
    severity: Option<Severity>,
    #[serde(default)]
    device_id: Option<String>,
    #[serde(default)]
    group_id: Option<String>,
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    #[serde(default)]
    labels: Labels,
    /// When; now, if not given.
    #[schema(format = DateTime)]
    #[serde(default)]
    at: Option<String>,
}

/// What would happen.
#[derive(Serialize, ToSchema)]
#[schema(as = RouteExplanation, example = json!({
    "at": "2026-01-31T23:15:30.000000Z", "labels": { "kind": "alert", "severity": "CRITICAL", "tenant": "default", "team": "cold-chain" },
    "silenced_by": [], "inhibited_by": null,
    "routes": [{
        "pointer": "/routes/1", "receiver": "pager", "webhooks": ["pager"], "emails": [], "acts": ["set to fan-01"], "group_key": "{\"kind\":\"alert\",\"tenant\":\"default\"}",
        "group_wait": "30s", "group_interval": "5m", "repeat_interval": "4h", "muted_by": [], "escalation": "to-the-manager",
        "verdict": "told to `pager` after 30s"
    }]
}))]
pub(super) struct RouteTestResult {
    #[schema(value_type = String, format = DateTime)]
    at: Rfc3339,
    /// What matchers see.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    labels: Labels,
    /// Names of silences.
    silenced_by: Vec<String>,
    /// The notification that says that the device is offline.
    inhibited_by: Option<String>,
    routes: Vec<RouteTaken>,
}

/// A route it would take.
#[derive(Serialize, ToSchema)]
pub(super) struct RouteTaken {
    /// JSON pointer into the tree; empty for the first route.
    pointer: String,
    receiver: String,
    webhooks: Vec<String>,
    emails: Vec<String>,
    /// What devices would do: `set to fan-01`, `scene ventilate`.
    acts: Vec<String>,
    group_key: String,
    group_wait: String,
    group_interval: String,
    repeat_interval: String,
    /// Names of mute times that hold, or active times that do not.
    muted_by: Vec<String>,
    escalation: Option<String>,
    /// What would become of it, in words.
    verdict: String,
}

impl From<Way> for RouteTaken {
    fn from(way: Way) -> Self {
        let timing = way.destination.timing;
        Self {
            pointer: way.destination.pointer,
            receiver: way.destination.receiver,
            webhooks: way.webhooks,
            emails: way.emails,
            acts: way.acts,
            group_key: way.group_key,
            group_wait: timing.group_wait.to_string(),
            group_interval: timing.group_interval.to_string(),
            repeat_interval: timing.repeat_interval.to_string(),
            muted_by: way.muted_by,
            escalation: way.destination.escalation,
            verdict: way.verdict,
        }
    }
}

/// Explain what would happen to a notification. Nothing happens.
#[utoipa::path(
    post, path = "/v1/routes/test", tag = "configuration", operation_id = "testRoutes", request_body(content = Option<RouteTestBody>),
    responses((status = 200, description = "What would happen", body = RouteTestResult)),
)]
pub(super) async fn test(
    State(api): State<Arc<Api>>,
    caller: Caller,
    given: Parameters,
    OptionalJson(body): OptionalJson<RouteTestBody>,
) -> Result<Json<RouteTestResult>, Problem> {
    let principal = caller.may(Scope::Read)?;
    given.finish()?;
    let wrong = || Problem::invalid(vec![Mistake::pointer("/at", "is not a time like 2026-01-31T08:15:30Z")]);
    let at = match &body.at {
        Some(text) => Timestamp::from_rfc3339(text).ok_or_else(wrong)?,
        None => Timestamp::from(SystemTime::now()),
    };
    if body.device_id.as_ref().is_some_and(|device| device.contains('\0')) {
        return Err(Problem::invalid(vec![Mistake::pointer("/device_id", "holds the character NUL")]));
    }
    if body.severity == Some(Severity::Unknown) {
        return Err(Problem::invalid(vec![Mistake::pointer("/severity", "is not one of INFO, WARNING, CRITICAL")]));
    }
    let (kind, device_id, group_id) = (body.kind.as_deref(), body.device_id.as_deref(), body.group_id.as_deref());
    let offline = match device_id {
        Some(device) => api.store.offline(&principal.tenant, device).await?,
        None => Vec::new(),
    };
    let inhibitor = offline.into_iter().find(|source| inhibits(source, &principal.tenant, kind, device_id));
    let inhibited_by = inhibitor.map(|source| source.notification_id);
    let labels = About { tenant: &principal.tenant, kind, severity: body.severity, device_id, group_id }.over(body.labels);
    let configuration = api.store.configuration(&principal.tenant).await?;
    let explanation = explanation::explain(&configuration, &labels, inhibited_by.is_some(), at);
    let routes = explanation.ways.into_iter().map(RouteTaken::from).collect();
    Ok(Json(RouteTestResult { at: Rfc3339(at), labels, silenced_by: explanation.silenced_by, inhibited_by, routes }))
}
