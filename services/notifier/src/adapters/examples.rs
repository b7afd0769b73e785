//! One full example of each message, for the API's description.

use events::{BreakerState, Change, CommandOutcome, DeviceState, HealthState, Labels, NotificationState, Severity, Timestamp};

use serde_json::json;
use uuid::Uuid;

use super::command_document::{CommandDocument, CommandNews, ResultDocument, RunDocument, SceneRunDocument};
use super::device_document::{DeviceDocument, HealthDocument, LatestDocument, MetricHealthDocument, ReadingDocument, StatusDocument};
use super::document::{CountsDocument, EventDocument, NotificationDocument, Rfc3339};
use super::history_document::{History, HistoryPoint};
use super::timeline_document::TimelineDocument;
use crate::domain::course::CommandState;

const COMMAND: Uuid = Uuid::from_u128(0x0197_0000_0000_7000_8000_0000_0000_0001);
const SCENE: Uuid = Uuid::from_u128(0x0197_0000_0000_7000_8000_0000_0000_0002);

/// Seconds after the first example's time.
fn time(seconds: i64) -> Timestamp {
    Timestamp::from_micros(1_769_847_330_000_250 + seconds * 1_000_000)
}

/// A command with its history and every field filled in.
pub fn command() -> CommandDocument {
    let outcome = |outcome, seconds, detail: &str| ResultDocument {
        outcome,
        attempt: 1,
        detail: detail.into(),
        breaker: BreakerState::Closed,
        at: Rfc3339(time(seconds)),
    };
    CommandDocument {
        command_id: COMMAND,
        tenant: "default".into(),
        device_id: "fan-01".into(),
        name: "set".into(),
        arguments: json!({ "speed": 3 }),
        desired_state: Some(json!({ "speed": 3 })),
        issued_by: "operations".into(),
        issued_at: Rfc3339(time(0)),
        expires_at: Rfc3339(time(60)),
        scene_id: Some(SCENE),
        state: CommandState::Verified,
        is_final: true,
        attempt: 1,
        detail: "reported as desired".into(),
        breaker: Some(BreakerState::Closed),
        updated_at: Rfc3339(time(2)),
        history: Some(vec![outcome(CommandOutcome::Accepted, 1, ""), outcome(CommandOutcome::Verified, 2, "reported as desired")]),
    }
}

/// A command that was just issued.
pub fn issued() -> CommandDocument {
    CommandDocument {
        state: CommandState::Pending,
        is_final: false,
        attempt: 0,
        detail: String::new(),
        breaker: None,
        updated_at: Rfc3339(time(0)),
        history: None,
        ..command()
    }
}

/// What a stream tells of a command.
pub fn command_news() -> CommandNews {
    let CommandDocument { command_id, device_id, name, scene_id, detail, .. } = command();
    let (outcome, breaker, at) = (CommandOutcome::Verified, BreakerState::Closed, Rfc3339(time(2)));
    CommandNews { command_id, device_id, name, scene_id, result: ResultDocument { outcome, attempt: 1, detail, breaker, at } }
}

/// What running a scene is answered.
pub fn run() -> RunDocument {
    RunDocument { scene_id: SCENE, commands: vec![issued()] }
}

/// A run of a scene.
pub fn scene_run() -> SceneRunDocument {
    let command = CommandDocument { history: None, ..command() };
    SceneRunDocument::new(SCENE, "ventilate".into(), "operations".into(), time(0), vec![command])
}

/// A notification with every field filled in.
pub fn notification() -> NotificationDocument {
    NotificationDocument {
        notification_id: "7c9e6679-7425-50de-944b-e07fc1f90ae7".into(),
        tenant: "default".into(),
        version: 3,
        kind: "alert".into(),
        state: NotificationState::Resolved,
        severity: Severity::Warning,
        device_id: Some("sensor-01".into()),
        group_id: Some("cold-room-2".into()),
        title: "sensor-01: temperature 31.5 Cel is above 28 Cel".into(),
        body: "Rule high-temperature (version 1) is RESOLVED since 2026-01-31T08:15:30.000250Z. temperature was 26.8 Cel at \
               2026-01-31T08:25:30.000250Z."
            .into(),
        dedup_key: "alert/high-temperature/sensor-01/temperature".into(),
        occurrences: 2,
        opened_at: Rfc3339(time(0)),
        updated_at: Rfc3339(time(600)),
        resolved_at: Some(Rfc3339(time(600))),
        snoozed_until: Some(Rfc3339(time(600))),
        acknowledged_by: Some("on-call".into()),
        suppressed_by: Some("silence-7".into()),
        labels: Labels::from([("team".into(), "cold-chain".into())]),
        links: Labels::from([("runbook".into(), "https://runbooks.example.com/high-temperature".into())]),
        change: Change {
            action: "resolved".into(),
            actor: "temperature-alert".into(),
            reason: Some("CLEARED".into()),
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()),
        },
        source_event_id: "3e4f0b6f-6a5b-5d0b-9a43-0d6b1f2c5f0e".into(),
    }
}

/// The last version of [`notification`] in its audit log.
pub fn event() -> EventDocument {
    let n = notification();
    EventDocument {
        version: n.version,
        at: n.updated_at,
        state: n.state,
        severity: n.severity,
        occurrences: n.occurrences,
        change: n.change,
        source_event_id: n.source_event_id,
        snoozed_until: n.snoozed_until,
    }
}

pub fn counts() -> CountsDocument {
    let mut counts = CountsDocument::default();
    counts.add(NotificationState::Open, Severity::Critical, 1);
    counts.add(NotificationState::Open, Severity::Warning, 4);
    counts.add(NotificationState::Acknowledged, Severity::Warning, 2);
    counts.add(NotificationState::Resolved, Severity::Warning, 1_024);
    counts
}

/// A device with every field filled in.
pub fn device() -> DeviceDocument {
    let metric = MetricHealthDocument {
        metric: "temperature".into(),
        state: HealthState::Drifting,
        weight: 0.4,
        residual: Some(1.8),
        since: Rfc3339(time(-3_600)),
    };
    DeviceDocument {
        tenant: "default".into(),
        device_id: "sensor-01".into(),
        group_id: Some("cold-room-2".into()),
        status: Some(StatusDocument { state: DeviceState::Online, reason: "birth".into(), changed_at: Rfc3339(time(-86_400)) }),
        health: Some(HealthDocument {
            state: HealthState::Drifting,
            weight: Some(0.4),
            changed_at: Rfc3339(time(-3_600)),
            metrics: vec![metric],
        }),
        metrics: vec![LatestDocument {
            metric: "temperature".into(),
            value: 31.5,
            unit: "Cel".into(),
            measured_at: Rfc3339(time(0)),
            sparkline: vec![26.8, 29.1, 31.5],
            sparkline_at: Some([-20, -10, 0].map(|seconds| Rfc3339(time(seconds))).to_vec()),
        }],
        received_at: Some(Rfc3339(time(0))),
        unresolved_notifications: 1,
    }
}

/// [`device`] as lists have it.
pub fn listed_device() -> DeviceDocument {
    let mut device = device();
    device.metrics.iter_mut().for_each(|metric| metric.sparkline_at = None);
    device
}

/// The reading that raised [`notification`].
pub fn reading() -> ReadingDocument {
    ReadingDocument {
        device_id: "sensor-01".into(),
        metric: "temperature".into(),
        value: 31.5,
        unit: "Cel".into(),
        measured_at: Rfc3339(time(0)),
        received_at: Rfc3339(time(0)),
    }
}

/// What [`notification`] is in its device's timeline.
pub fn timeline_entry() -> TimelineDocument {
    let n = notification();
    TimelineDocument::Notification {
        at: n.updated_at,
        notification_id: n.notification_id,
        version: n.version,
        kind: n.kind,
        state: n.state,
        severity: n.severity,
        title: n.title,
        change: n.change,
    }
}

/// A change of the device's connection, before that.
pub fn timeline_status() -> TimelineDocument {
    TimelineDocument::Status { at: Rfc3339(time(-86_400)), state: DeviceState::Online, reason: Some("birth".into()) }
}

/// Half an hour of the device's temperature.
pub fn history() -> History {
    let point = |number: i64| HistoryPoint {
        at: Rfc3339(Timestamp::from_micros(1_769_845_500_000_000 + number * 900_000_000)),
        count: 90,
        mean: 26.8,
        min: 26.1,
        max: 27.4,
        last: 27.4,
        stddev: 0.3,
        expected: Some(26.5),
        band_low: Some(25.9),
        band_high: Some(27.1),
        max_score: Some(0.93),
        anomaly_id: Some(uuid::uuid!("5f0e0b6f-6a5b-5d0b-9a43-0d6b1f2c3e4f")),
    };
    let [from, to] = [0, 2].map(|number| point(number).at);
    History { device_id: "sensor-01".into(), metric: "temperature".into(), from, to, step: "15m".into(), data: vec![point(0), point(1)] }
}

/// A `next_cursor`.
pub const CURSOR: &str = "AAZJrR5Kx3p8nmZ5dCVQ3pROD-AfwZCuN8sTq1h5c2pWm0nFv4zYVg";
