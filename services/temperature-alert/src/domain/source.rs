//! The alert of a partition nothing comes from any more: one for all of its devices, which cannot be judged meanwhile.

use events::{AlertReason, AlertState, DEFAULT_TENANT, Labels, Severity, TemperatureAlert, Timestamp, identity};

/// Rule id of the alert; no rule of a file may have it.
pub const SOURCE_SILENT: &str = "source-silent";

/// Silent since `since`, or speaking again at `ended_at`.
pub fn source_silent(partition: i32, since: Timestamp, ended_at: Option<Timestamp>) -> TemperatureAlert {
    let source = format!("partition-{partition}");
    let (state, reason, summary) = match ended_at {
        None => (AlertState::Firing, AlertReason::Silent, format!("{source}: no readings since {since}")),
        Some(_) => (AlertState::Resolved, AlertReason::Cleared, format!("{source}: readings are coming in again")),
    };
    TemperatureAlert {
        tenant: DEFAULT_TENANT.to_owned(),
        alert_id: identity::excursion_id("alert", DEFAULT_TENANT, SOURCE_SILENT, &source, "readings", since).to_string(),
        rule_id: SOURCE_SILENT.to_owned(),
        rule_version: "1".to_owned(),
        device_id: source,
        group_id: None,
        state,
        severity: Severity::Critical,
        reason,
        metric: "readings".to_owned(),
        value: None,
        unit: "1".to_owned(),
        threshold: None,
        clear_threshold: None,
        evidence: Vec::new(),
        started_at: since,
        changed_at: ended_at.unwrap_or(since),
        summary,
        labels: Labels::from([("partition".to_owned(), partition.to_string())]),
        runbook_url: None,
    }
}
