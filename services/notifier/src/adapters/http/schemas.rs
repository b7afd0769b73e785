//! Schemas of what is configured: the domain's types, which know nothing of `OpenAPI`, described.
#![expect(dead_code, reason = "these describe what the domain's types read and write")]

use serde::Serialize;
use utoipa::ToSchema;

use crate::adapters::document::Rfc3339;

macro_rules! answers {
    ($entry:ident, $page:ident, $document:ident) => {
        #[derive(Serialize, ToSchema)]
        pub(super) struct $entry {
            name: String,
            /// From 1; the `ETag`.
            version: i64,
            #[schema(value_type = String, format = DateTime)]
            updated_at: Rfc3339,
            /// Name of the API key that changed it last.
            updated_by: String,
            #[serde(flatten)]
            document: $document,
        }

        #[derive(Serialize, ToSchema)]
        pub(super) struct $page {
            data: Vec<$entry>,
        }
    };
}

/// Who is told, by which webhooks and e-mails, and which devices act.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "webhooks": ["ops-chat"], "emails": ["on-call"], "send_resolved": true, "heartbeat": false,
    "commands": [{ "device_id": "fan-01", "name": "set", "arguments": { "speed": 3 }, "desired_state": { "speed": 3 }, "expires_in": "60s" }],
    "scenes": ["ventilate"]
}))]
pub(super) struct Receiver {
    /// Names of webhooks; each gets every delivery.
    webhooks: Option<Vec<String>>,
    /// Names of e-mails, likewise.
    emails: Option<Vec<String>>,
    /// Each is issued once when a notification opens, at once, unless that is quiet; without `device_id` to the notification's
    /// device. Notifications of kind `command` issue none.
    #[schema(max_items = 20)]
    commands: Option<Vec<Instruction>>,
    /// Names of scenes, each run likewise.
    #[schema(max_items = 20)]
    scenes: Option<Vec<String>>,
    /// Whether ends are told too.
    #[schema(default = true)]
    send_resolved: Option<bool>,
    /// A delivery every minute, so that its absence is noticed.
    #[schema(default = false)]
    heartbeat: Option<bool>,
}
answers!(ReceiverEntry, ReceiverPage, Receiver);

/// What a device is to do.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "device_id": "fan-01", "name": "set", "arguments": { "speed": 3 }, "desired_state": { "speed": 3 }, "expires_in": "60s"
}))]
pub(super) struct Instruction {
    /// Without `/`, `+` and `#`. A scene's members must have it.
    #[schema(min_length = 1, max_length = 256)]
    device_id: Option<String>,
    /// A word of the device's own language.
    #[schema(min_length = 1, max_length = 128)]
    name: String,
    /// 16 KiB at most.
    #[schema(value_type = Option<Object>)]
    arguments: Option<()>,
    /// What the device has to report in the end; 16 KiB at most. Without it the device answers with the command's id.
    #[schema(value_type = Option<Object>)]
    desired_state: Option<()>,
    /// `1s` to `24h`; `1m` when not given.
    expires_in: Option<String>,
}

/// Several devices told what to do by one decision.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "description": "fresh air in hall 2", "members": [
    { "device_id": "fan-01", "name": "set", "arguments": { "speed": 3 }, "desired_state": { "speed": 3 }, "expires_in": "60s" },
    { "device_id": "window-02", "name": "open", "arguments": {} }
] }))]
pub(super) struct Scene {
    #[schema(max_length = 1024)]
    description: Option<String>,
    /// Told at the same time; those with one device in their order.
    #[schema(min_items = 1, max_items = 500)]
    members: Vec<Instruction>,
}
answers!(SceneEntry, ScenePage, Scene);

/// What matches is not told of for a while.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "matchers": ["group_id=\"cold-room-2\"", "severity!=\"CRITICAL\""],
    "starts_at": "2026-01-31T08:00:00Z", "ends_at": "2026-01-31T12:00:00Z", "comment": "compressor is being replaced"
}))]
pub(super) struct Silence {
    /// As Alertmanager writes them: `name="value"`, with `=`, `!=`, `=~` or `!~`; or `name>0.7`, with `>`, `>=`, `<` or `<=`, for
    /// numbers. All must hold.
    #[schema(min_items = 1)]
    matchers: Vec<String>,
    #[schema(value_type = String, format = DateTime)]
    starts_at: (),
    #[schema(value_type = String, format = DateTime)]
    ends_at: (),
    #[schema(max_length = 1000)]
    comment: Option<String>,
}
answers!(SilenceEntry, SilencePage, Silence);

/// Whom to tell when nobody acknowledges.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "steps": [{ "after": "15m", "receiver": "on-call" }, { "after": "45m", "receiver": "manager" }] }))]
pub(super) struct Escalation {
    /// In their order.
    #[schema(min_items = 1, max_items = 20)]
    steps: Vec<EscalationStep>,
}
answers!(EscalationEntry, EscalationPage, Escalation);

#[derive(Serialize, ToSchema)]
pub(super) struct EscalationStep {
    /// Since it was opened, raised or brought back: `15m`, `2h`.
    after: String,
    receiver: String,
}

/// Times of the week and the year in a time zone.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "time_zone": "Europe/Berlin", "intervals": [
    { "weekdays": ["monday:friday"], "times": [{ "start_time": "00:00", "end_time": "06:00" }, { "start_time": "22:00", "end_time": "24:00" }] },
    { "weekdays": ["saturday:sunday"] }
] }))]
pub(super) struct MuteTime {
    /// IANA name; `UTC` when not given.
    time_zone: Option<String>,
    /// One of them must hold.
    #[schema(min_items = 1, max_items = 100)]
    intervals: Vec<MuteInterval>,
}
answers!(MuteTimeEntry, MuteTimePage, MuteTime);

/// Every part that is given must hold. Ranges are `from:to`, both included.
#[derive(Serialize, ToSchema)]
pub(super) struct MuteInterval {
    times: Option<Vec<MuteClock>>,
    /// `monday:friday`, `sunday`
    weekdays: Option<Vec<String>>,
    /// `1:7`; from the month's end `-3:-1`
    days_of_month: Option<Vec<String>>,
    /// `december`, `june:august`
    months: Option<Vec<String>>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct MuteClock {
    /// `HH:MM`, before `end_time`
    start_time: String,
    /// `24:00` at most
    end_time: String,
}

/// A route of the tree; what it does not say it has from the one above, but for `mute_times` and `active_times`.
#[derive(Serialize, ToSchema)]
#[schema(no_recursion, example = json!({
    "receiver": "ops", "group_by": ["tenant", "kind", "group_id"], "group_wait": "30s", "group_interval": "5m", "repeat_interval": "4h",
    "routes": [
        { "matchers": ["severity=\"INFO\""], "receiver": "none" },
        { "matchers": ["severity=\"CRITICAL\""], "receiver": "pager", "escalation": "to-the-manager", "continue": true },
        { "matchers": ["kind=\"anomaly\"", "confidence>0.7"], "receiver": "ops", "continue": true },
        { "matchers": ["kind=\"anomaly\""], "mute_times": ["nights"] }
    ]
}))]
pub(super) struct Route {
    /// `none`: stored only.
    receiver: Option<String>,
    /// As a silence's. Of an anomaly the label `confidence` says how sure its model is.
    matchers: Option<Vec<String>>,
    /// Labels; `...` for all of them.
    group_by: Option<Vec<String>>,
    group_wait: Option<String>,
    group_interval: Option<String>,
    repeat_interval: Option<String>,
    /// Names of mute times within which it is quiet.
    mute_times: Option<Vec<String>>,
    /// Names of mute times outside which it is quiet.
    active_times: Option<Vec<String>>,
    escalation: Option<String>,
    /// The routes after it are tried too.
    r#continue: Option<bool>,
    routes: Option<Vec<Route>>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct RouteEntry {
    name: String,
    /// 0: nobody configured it, this is the default.
    version: i64,
    #[schema(value_type = Option<String>, format = DateTime)]
    updated_at: Option<Rfc3339>,
    updated_by: Option<String>,
    #[serde(flatten)]
    document: Route,
}

/// An address that deliveries are posted to.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "url": "https://hooks.example.com/fieldwatch", "format": "standard", "description": "the ops room", "concurrency": 4, "rate_per_second": 10.0
}))]
pub(super) struct Webhook {
    /// https, and public unless the configuration allows the network. Of a Slack webhook it is a secret and shown by its host only.
    #[schema(max_length = 2048)]
    url: String,
    format: Option<WebhookFormat>,
    #[schema(max_length = 1024)]
    description: Option<String>,
    /// Deliveries under way at the same time.
    #[schema(minimum = 1, maximum = 64, default = 4)]
    concurrency: Option<u32>,
    #[schema(minimum = 0.01, maximum = 1000, default = 10)]
    rate_per_second: Option<f64>,
}

/// `standard`: Standard Webhooks, signed. `slack`: what Slack's incoming webhooks take.
#[derive(Serialize, ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum WebhookFormat {
    Standard,
    Slack,
}

#[derive(Serialize, ToSchema)]
pub(super) struct WebhookFields {
    name: String,
    /// From 1; the `ETag`.
    version: i64,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Rfc3339,
    /// Name of the API key that changed it last.
    updated_by: String,
    #[serde(flatten)]
    document: Webhook,
}

/// Addresses that deliveries are mailed to, by the configured server (`smtp`).
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "to": ["on-call@example.com"], "description": "whoever is on call", "concurrency": 2, "rate_per_second": 10.0
}))]
pub(super) struct Email {
    /// Each gets a message, and with it a delivery, of its own.
    #[schema(min_items = 1, max_items = 50)]
    to: Vec<String>,
    #[schema(max_length = 1024)]
    description: Option<String>,
    /// Messages under way at the same time.
    #[schema(minimum = 1, maximum = 64, default = 2)]
    concurrency: Option<u32>,
    #[schema(minimum = 0.01, maximum = 1000, default = 10)]
    rate_per_second: Option<f64>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct EmailFields {
    name: String,
    /// From 1; the `ETag`.
    version: i64,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Rfc3339,
    /// Name of the API key that changed it last.
    updated_by: String,
    #[serde(flatten)]
    document: Email,
}
