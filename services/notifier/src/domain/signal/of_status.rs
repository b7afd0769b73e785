//! A device's connection: offline from one change to the next. There is no id, the time of the change stands for it.

use events::{DeviceState, DeviceStatus, Severity};

use super::{Effect, Signal, kind};

pub(super) fn signal(status: &DeviceStatus) -> Option<Signal> {
    let (effect, word) = match status.state {
        DeviceState::Offline => (Effect::Triggers, "offline"),
        DeviceState::Online => (Effect::Clears, "online"),
        DeviceState::Retired => (Effect::Clears, "retired"),
        DeviceState::Unknown => return None,
    };
    Some(Signal {
        tenant: status.tenant.clone(),
        kind: kind::DEVICE_OFFLINE,
        dedup_key: format!("{}/{}", kind::DEVICE_OFFLINE, status.device_id),
        excursion: status.changed_at.to_string(),
        effect,
        severity: Severity::Warning,
        device_id: Some(status.device_id.clone()),
        device_state: Some(status.state),
        group_id: None,
        title: format!("{} is {word}", status.device_id),
        body: format!("{} is {word} since {} ({}).", status.device_id, status.changed_at, status.reason),
        labels: events::Labels::new(),
        runbook_url: None,
        started_at: status.changed_at,
        changed_at: status.changed_at,
        actor: "mqtt-bridge".into(),
        reason: Some(status.reason.clone()),
    })
}

#[cfg(test)]
mod tests {
    use events::Timestamp;

    use super::*;

    #[test]
    fn a_device_that_comes_back_or_is_retired_is_no_longer_missing() {
        let status = |state| DeviceStatus {
            tenant: "default".into(),
            device_id: "sensor-01".into(),
            state,
            reason: "will".into(),
            changed_at: Timestamp::from_micros(1),
        };
        let effect = |state| signal(&status(state)).map(|signal| signal.effect);
        assert_eq!(effect(DeviceState::Offline), Some(Effect::Triggers));
        assert_eq!(effect(DeviceState::Online), Some(Effect::Clears));
        assert_eq!(effect(DeviceState::Retired), Some(Effect::Clears));
        assert_eq!(effect(DeviceState::Unknown), None);
        assert_eq!(signal(&status(DeviceState::Offline)).unwrap().dedup_key, "device-offline/sensor-01");
    }
}
