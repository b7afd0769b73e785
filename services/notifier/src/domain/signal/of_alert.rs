//! A temperature alert: one excursion per `alert_id`, keyed by rule, device and metric.

use events::{AlertState, TemperatureAlert};

use super::{Effect, Signal, kind, number};

pub(super) fn signal(alert: &TemperatureAlert) -> Option<Signal> {
    let effect = match alert.state {
        AlertState::Firing | AlertState::NoData => Effect::Triggers,
        AlertState::Resolved => Effect::Clears,
        AlertState::Unknown => return None,
    };
    Some(Signal {
        tenant: alert.tenant.clone(),
        kind: kind::ALERT,
        dedup_key: format!("{}/{}/{}/{}", kind::ALERT, alert.rule_id, alert.device_id, alert.metric),
        excursion: alert.alert_id.clone(),
        effect,
        severity: alert.severity,
        device_id: Some(alert.device_id.clone()),
        device_state: None,
        group_id: alert.group_id.clone(),
        title: title(alert),
        body: body(alert),
        labels: alert.labels.clone(),
        runbook_url: alert.runbook_url.clone(),
        started_at: alert.started_at,
        changed_at: alert.changed_at,
        actor: "temperature-alert".into(),
        reason: Some(word(&alert.reason)),
    })
}

fn title(alert: &TemperatureAlert) -> String {
    if alert.summary.is_empty() { format!("{}: {} alert", alert.device_id, alert.metric) } else { alert.summary.clone() }
}

fn body(alert: &TemperatureAlert) -> String {
    let rule = format!("Rule {} (version {}) is {} since {}.", alert.rule_id, alert.rule_version, word(&alert.state), alert.started_at);
    let value = alert.value.map(|value| format!("{} was {} {} at {}.", alert.metric, number(value), alert.unit, alert.changed_at));
    let threshold = alert.threshold.map(|threshold| format!("The threshold is {} {}.", number(threshold), alert.unit));
    [Some(rule), value, threshold].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// The symbol an enum has in Avro, e.g. `RULE_REMOVED`.
fn word(symbol: &impl serde::Serialize) -> String {
    serde_json::to_value(symbol).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::domain::lifecycle::examples::firing;

    use super::*;

    #[test]
    fn rule_device_and_metric_are_the_key() {
        let signal = signal(&firing()).unwrap();
        assert_eq!(signal.dedup_key, "alert/high-temperature/sensor-01/temperature");
        assert_eq!(signal.reason.as_deref(), Some("CROSSED"));
        assert_eq!(
            signal.body,
            "Rule high-temperature (version 1) is FIRING since 2026-01-31T08:15:30.000000Z. temperature was 31.5 Cel at \
             2026-01-31T08:15:30.000000Z. The threshold is 28 Cel."
        );
    }

    #[test]
    fn no_data_triggers_because_nobody_can_say_it_is_over() {
        let silent = TemperatureAlert { state: AlertState::NoData, ..firing() };
        assert_eq!(signal(&silent).unwrap().effect, Effect::Triggers);
    }

    #[test]
    fn a_state_of_a_later_release_says_nothing() {
        assert_eq!(signal(&TemperatureAlert { state: AlertState::Unknown, ..firing() }), None);
    }

    #[test]
    fn tenants_do_not_share_a_notification() {
        let ours = signal(&firing()).unwrap();
        let theirs = Signal { tenant: "acme".into(), ..ours.clone() };
        assert_ne!(ours.notification_id(), theirs.notification_id());
    }
}
