//! An anomaly: one excursion per `anomaly_id`, keyed by model, device and metric.

use events::{Anomaly, AnomalyState, Labels, Severity};

use super::{CONFIDENCE, Effect, Signal, kind, number};

pub(super) fn signal(anomaly: &Anomaly) -> Option<Signal> {
    let effect = match anomaly.state {
        AnomalyState::Opened => Effect::Triggers,
        AnomalyState::Closed => Effect::Clears,
        AnomalyState::Unknown => return None,
    };
    Some(Signal {
        tenant: anomaly.tenant.clone(),
        kind: kind::ANOMALY,
        dedup_key: format!("{}/{}/{}/{}", kind::ANOMALY, anomaly.model.name, anomaly.device_id, anomaly.metric),
        excursion: anomaly.anomaly_id.clone(),
        effect,
        severity: Severity::Warning,
        device_id: Some(anomaly.device_id.clone()),
        device_state: None,
        group_id: anomaly.group_id.clone(),
        title: format!("{}: {} {} is unusual (score {})", anomaly.device_id, anomaly.metric, number(anomaly.value), number(anomaly.score)),
        body: body(anomaly),
        labels: labels(anomaly),
        runbook_url: None,
        started_at: anomaly.started_at,
        changed_at: anomaly.changed_at,
        actor: "anomaly-detector".into(),
        reason: None,
    })
}

/// With how sure the model is: digits enough to read the same number again.
fn labels(anomaly: &Anomaly) -> Labels {
    let mut labels = anomaly.labels.clone();
    labels.insert(CONFIDENCE.to_owned(), anomaly.confidence.to_string());
    labels
}

fn body(anomaly: &Anomaly) -> String {
    let scored = format!(
        "Model {} {} scored {} at {}; its threshold is {}.",
        anomaly.model.name,
        anomaly.model.version,
        number(anomaly.score),
        anomaly.changed_at,
        number(anomaly.threshold)
    );
    let expected = anomaly.expected.map(|expected| format!("{} was expected.", number(expected)));
    let band = anomaly.band_low.zip(anomaly.band_high);
    let usual = band.map(|(low, high)| format!("Usual are {} to {}.", number(low), number(high)));
    let most = anomaly.contributions.iter().max_by(|a, b| a.share.total_cmp(&b.share));
    let most = most.map(|most| format!("{} contributed most.", most.feature));
    [Some(scored), expected, usual, most].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opened_anomaly_says_what_was_expected() {
        let anomaly: Anomaly = serde_json::from_str(include_str!("../../../../../schemas/golden/anomaly-1.json")).unwrap();
        let signal = signal(&anomaly).unwrap();
        assert_eq!(signal.dedup_key, "anomaly/temperature-mlp/sensor-01/temperature");
        assert_eq!(signal.title, "sensor-01: temperature 31.5 is unusual (score 0.93)");
        assert_eq!(signal.labels[CONFIDENCE].parse(), Ok(anomaly.confidence));
        assert!(signal.body.ends_with("21.25 was expected. Usual are 19.5 to 23. z_48 contributed most."), "{}", signal.body);
    }
}
